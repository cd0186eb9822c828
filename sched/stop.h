/*
 * Stopped tasks. A process stops as a whole, by SIGSTOP and its like, until SIGCONT (job control); a single task stops
 * for its tracer (kernel/ptrace.c), until that lets it go. Both sleep in state TASK_STOPPED, on the way to user mode
 * or at the edge of a system call, holding nothing: neither signals nor wake-ups bring them back, only those who
 * stopped them, and SIGKILL. Everything here is covered by task_lock.
 */
#ifndef SCHED_STOP_H
#define SCHED_STOP_H

#include "kernel/list.h"
#include "sched/signal.h"

struct process;
struct task;

/* In struct task. */
struct task_stop {
	bool due;      /* is to take part in the process's stop */
	bool asleep;   /* takes part */
	bool taken;    /* has taken a stop signal, and no SIGCONT has come since */
	bool stepping; /* its tracer has set TF in its frame */
	int signal;    /* what its tracer let it go on with */
};

/* In struct process. */
struct group_stop {
	int signal;	/* what stopped it, 0: nothing */
	u32 due;	/* threads that have yet to stop */
	bool complete;	/* they all have */
	bool untold;	/* complete, and wait has not yet told so */
	bool continued; /* by SIGCONT, which wait has not yet told */
};

enum trace_mode { TRACE_CONT, TRACE_SYSCALL, TRACE_STEP, TRACE_SYSEMU, TRACE_SYSEMU_STEP };

/* One traced task. Kept beyond its end, until its tracer has been told. */
struct tracee {
	struct task *task;	 /* NULL: has ended */
	struct task *tracer;	 /* lives: its end makes its tracees free */
	struct process *process; /* if the task is its first thread, whose end it stands for */
	struct list link;	 /* in the tracer's list */
	int tid;
	u32 options;	     /* PTRACE_O_... */
	bool seized;	     /* by PTRACE_SEIZE */
	bool interrupted;    /* by PTRACE_INTERRUPT, or by SIGCONT if it is seized: is to stop */
	bool listening;	     /* by PTRACE_LISTEN: stopped, but not for its tracer, until it is interrupted */
	u8 mode;	     /* enum trace_mode */
	volatile bool stopped;
	bool frozen;	     /* stays stopped, even if killed, while its tracer reads or writes it */
	int status;	     /* what wait tells next, 0: nothing */
	u64 message;	     /* PTRACE_GETEVENTMSG */
	struct siginfo *info; /* of the stop, or NULL */
};

/* A stop signal or SIGCONT has been sent: what it does at once, whether or not somebody takes it. */
void stop_signal_sent(struct process *process, int signal);
/* All threads of the process are to stop, the running one with the next stop_join. */
void stop_begin(struct process *process, int signal);
/* The running task takes part in its process's stop; stops for PTRACE_INTERRUPT. Let task_lock go meanwhile. */
void stop_join(struct task *task);
void stop_interrupted(struct task *task);
/* A new thread; one that leaves its process. */
void stop_add_thread(struct process *process, struct task *task);
void stop_remove_thread(struct process *process, struct task *task);
/* SIGKILL. */
void stop_wake_killed(struct task *task);

/*
 * The running task stops for its tracer, with `code` in the upper bytes of the status that wait tells; why: CLD_....
 * Lets task_lock go meanwhile. Returns the signal that it is to go on with; 0 at once if nobody traces it, or it has
 * been killed.
 */
int stop_for_tracer(struct task *task, int code, int why, struct siginfo *info);

/* The tracee, a seized one, is to stop as soon as it can. */
void tracee_interrupt(struct tracee *tracee);
/* Nobody's tracee any more: the task, if it lives, goes on, with that signal if it was stopped. Frees tracee. */
void untrace(struct tracee *tracee, int signal);
/* exec has given the task the pid of its process, whose first thread it is now. */
void tracee_renamed(struct task *task);
/* The task leaves its process: as a tracee, whose tracer is told, and as a tracer. */
void tracee_gone(struct task *task);
void tracer_gone(struct task *task);
/* The process has ended; true if somebody else's tracer must be told before its parent. */
bool tracer_takes_zombie(struct process *process);
/* True if the process's first thread is traced by another process than its parent. */
bool traced_by_stranger(const struct process *process);

#endif
