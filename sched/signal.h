/*
 * Signals, as Linux has them. What is where: dispositions in a struct sighand that threads share; the pending signals
 * of the process and of each thread in a struct sigpending; the mask and the alternate stack in the task. All of it
 * but what a task keeps for itself (struct task_signals says which) is covered by task_lock.
 *
 * A signal is sent (signal.c), which marks it pending and sets TASK_SIGNAL in a thread that may take it, and delivered
 * (sigdeliver.c) by that thread on its way to user mode. A fault is no pending signal: it is put into the task's own
 * `fault`, goes first, and can be neither blocked nor ignored, because the instruction can't go on.
 */
#ifndef SCHED_SIGNAL_H
#define SCHED_SIGNAL_H

#include "kernel/cpu.h"
#include "kernel/list.h"
#include "kernel/types.h"

#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGWINCH 28
#define SIGRTMIN 32
#define SIGNALS 64

struct process;
struct task;

#define SIG_BIT(signal) BIT((signal) - 1)
#define SIG_UNBLOCKABLE (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))
#define SIG_STOPS (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))

#define SIG_DFL 0ul
#define SIG_IGN 1ul

#define SA_NOCLDSTOP 1ul
#define SA_NOCLDWAIT 2ul
#define SA_SIGINFO 4ul
#define SA_RESTORER 0x04000000ul
#define SA_ONSTACK 0x08000000ul
#define SA_RESTART 0x10000000ul
#define SA_NODEFER 0x40000000ul
#define SA_RESETHAND 0x80000000ul

enum si_code {
	SI_USER = 0, SI_KERNEL = 0x80, SI_TIMER = -2, SI_TKILL = -6,
	ILL_ILLOPC = 1, ILL_ILLOPN = 2,
	FPE_INTDIV = 1, FPE_FLTDIV = 3, FPE_FLTOVF = 4, FPE_FLTUND = 5, FPE_FLTRES = 6, FPE_FLTINV = 7,
	SEGV_MAPERR = 1, SEGV_ACCERR = 2, SEGV_PKUERR = 4,
	BUS_ADRALN = 1, TRAP_BRKPT = 1, TRAP_TRACE = 2,
	CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_TRAPPED = 4, CLD_STOPPED = 5, CLD_CONTINUED = 6,
};

/* As user code sees it in rt_sigaction. */
struct sigaction {
	u64 handler, flags, restorer, mask;
};

/* The first part of siginfo_t, which is all that is used of its 128 bytes. */
#define SIGINFO_SIZE 128
struct siginfo {
	int signo, error, code, zero;
	union {
		struct {
			int pid;
			u32 uid;
			s64 value; /* CLD_...: the status */
		};
		struct {
			u64 address;
			u64 address_lsb;
			u32 pkey;
		};
		u64 words[4];
	};
};

struct sighand {
	u32 users;
	struct sigaction action[SIGNALS];
};

/* set: the signals that are pending; queue: a struct pending_signal for those that something is known of. */
struct sigpending {
	u64 set;
	struct list queue;
	u32 queued;
};

struct pending_signal {
	struct list link;
	struct siginfo info;
};

struct sigaltstack {
	u64 sp;
	u32 flags, zero;
	u64 size;
};

#define SS_ONSTACK 1u
#define SS_DISABLE 2u
#define SS_AUTODISARM BIT(31)

struct restart {
	long (*fn)(const struct restart *restart);
	u64 address, until;
	u32 value, bits, flags;
};

/* In struct task. Others may read mask and change pending, with task_lock; the rest is the task's own. */
struct task_signals {
	u64 mask;   /* only the task itself changes it, with task_lock */
	u64 wanted; /* likewise: blocked or not, rt_sigtimedwait waits for them */
	struct sigpending pending;
	u64 saved_mask; /* comes back after the handler, or when there is none; if restore_mask */
	bool restore_mask;
	struct sigaltstack stack; /* size 0: none */
	struct siginfo fault;	  /* signo 0: none */
	struct {
		u64 vector, error, address;
	} trap; /* the last exception, for the frame */
	struct restart restart; /* what restart_syscall goes on with */
};

/* What sleeping system calls return when a signal wakes them; never seen by user code. */
#define SYS_RESTART 219
#define ERESTARTSYS 512		   /* again if the handler has SA_RESTART, or there is none; else EINTR */
#define ERESTARTNOINTR 513	   /* again in any case */
#define ERESTARTNOHAND 514	   /* again only without a handler */
#define ERESTART_RESTARTBLOCK 516 /* restart_syscall if there is no handler */

/* True if the current task should not sleep on: it is to end, or has a signal to take. */
static inline bool signal_waiting(void)
{
	return *(volatile u32 *)current & (TASK_KILLED | TASK_SIGNAL);
}

/* A new task's, and a new process's, as fork leaves them. False when memory is out. */
void signals_init_task(struct task *task);
void signals_fork_task(struct task *child, u64 clone_flags);
bool signals_fork_process(struct process *child, u64 clone_flags);
/* The current task starts a new program. */
bool signals_exec_prepare(struct sighand **spare);
void signals_exec(struct sighand *spare);
/* What is left when the last user has gone. */
void sighand_put(struct sighand *sighand);
/* Those of set are no longer pending. With task_lock, or when nobody else knows of them. */
void signals_drop_pending(struct sigpending *pending, u64 set);

/*
 * The current task did something that its instruction can't go on from. It takes the signal before it runs again;
 * blocked or not handled it ends the process, unless a tracer decides otherwise. True if it certainly will.
 */
bool signal_fault(const struct siginfo *info);
/* The current process ends with this signal when it next leaves the kernel. */
void signal_kill(int signal);

/* To the current thread, or to every process of the group; any context. */
void signal_self(int signal);
void signal_group(int pgid, int signal);
/* With task_lock. task NULL: any thread of the process. -EAGAIN: too many are queued. */
long signal_send(struct process *process, struct task *task, const struct siginfo *info);
/* With task_lock: other threads than this one look at what is pending for the process, for this one will not. */
void signal_retarget(struct process *process, const struct task *except);
/* True if the signal's default action is the end. */
bool signal_deadly(int signal);
static inline bool signal_stops(int signal)
{
	return SIG_BIT(signal) & SIG_STOPS;
}
/* With task_lock. */
void signal_kill_process(struct process *process, int signal);
/*
 * With task_lock: a child or tracee of `to` has ended (signal 0: it wants none), or stopped or gone on (code CLD_...).
 * Wakes who waits, too. signal_tell_end is true if nobody is to collect it.
 */
bool signal_tell_end(struct process *to, int signal, int pid, int status);
void signal_tell_stop(struct process *to, int code, int pid, int status);

/* TASK_SIGNAL of the current task anew, after its mask has changed. With task_lock. */
void signal_recalculate(void);
/* The next signal to take, out of the pending ones; 0: none. With task_lock. */
int signal_take(u64 blocked, struct siginfo *info);
/* The current task's mask; takes task_lock. */
void signal_set_mask(u64 mask);

/* On the way to user mode, interrupts on, with TASK_SIGNAL set. */
void signal_deliver(struct regs *regs);

/* sigframe.c: pushes a frame and points regs to the handler, or nothing has changed: -EFAULT. */
long sigframe_push(struct regs *regs, const struct sigaction *action, const struct siginfo *info, u64 mask);
/* The most that a frame with these user components of the FPU takes; with all of them, AT_MINSIGSTKSZ. */
u64 sigframe_size(u64 features);
/* True if sp is on the alternate stack. */
bool sigstack_active(u64 sp);
/* As sigaltstack does it, for a caller whose stack pointer is sp. */
long sigstack_set(const struct sigaltstack *stack, u64 sp);

#endif
