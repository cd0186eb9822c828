/*
 * Tasks (what is scheduled: threads of user programs, and kernel threads) and processes (what has a pid,
 * an address space, open files, children and an exit status).
 */
#ifndef SCHED_TASK_H
#define SCHED_TASK_H

#include "fpu/context.h"
#include "kernel/cpu.h"
#include "kernel/initrd.h"
#include "kernel/itimer.h"
#include "kernel/list.h"
#include "kernel/memory.h"
#include "sched/signal.h"
#include "sched/stop.h"
#include "sched/wait.h"

enum task_state { TASK_RUNNING, TASK_SLEEPING, TASK_STOPPED, TASK_DEAD };

struct mm;
struct files;
struct process;
struct tracee;
struct vcpu;

/* What user code has in its segment registers. */
struct user_segments {
	u64 fs_base, gs_base;
	u64 selectors; /* DS, ES, FS, GS */
};

struct task {
	union {
		struct fpu_task fpu;	   /* flags word, tid and register contexts: what fpu/ sees of a task */
		struct {
			union {
				volatile u32 flags;
				struct {
					u8 own_flags;
					volatile u8 remote_flags;
				};
			};
			int tid;
		};
	};
	volatile u32 state; /* enum task_state */
	bool on_queue;	    /* runnable or running */
	u64 rsp;	    /* kernel stack pointer while not running */
	u64 kstack;	    /* top of the kernel stack */
	struct process *process; /* NULL for kernel threads */
	struct mm *mm;		 /* its process's, or its guest's; NULL for kernel threads */
	union {			 /* while not running */
		struct user_segments segments;
		struct {
			u64 fs_base, gs_base;
			union {
				struct {
					u16 ds, es, fs, gs;
				};
				u64 selectors;
			};
		};
	};
	struct list queue;	 /* in the run queue */
	u32 cpu;		 /* whose rq.lock covers state, on_queue and queue: where it runs, or ran last */
	struct task *next_tid;	   /* in the tid table */
	struct list sibling;	   /* the process's threads */
	u64 clear_child_tid;	   /* user address cleared and woken at exit, or 0 */
	union {
		u64 set_child_tid; /* until the first run: user address that gets the tid then, or 0 */
		u64 robust_list;   /* from then on: user address of the head of the list, or 0 */
	};
	u64 affinity;		   /* CPUs it may run on; with task_lock */
	struct task_signals signals;
	struct task_stop stop;	   /* with task_lock */
	struct tracee *tracee;	   /* what its tracer has noted of it, or NULL; with task_lock */
	struct list tracees;	   /* of which it is the tracer; with task_lock */
	int exit_status;	   /* its own, as wait4 would report it */
	struct completion *vfork;  /* its maker waits until it execs or ends; or NULL; with task_lock */
	struct vcpu *vcpu;	   /* the guest that runs in its place, or NULL (kernel/vcpu.h) */
	struct queued_update *updates;	   /* values of FPU components that wait for it; with task_lock */
	struct {
		u8 phase;	   /* enum ipc_phase */
		bool ended;	   /* takes no more calls */
		bool served;	   /* has been a server */
		struct task *partner; /* who owes us a reply; good only while we await one */
		long result;
		struct list callers, link;
	} ipc;
	char name[16];
};

struct rlimit {
	u64 soft, hard;
};

struct process {
	int pid;
	bool zombie, killed;  /* killed: exit_status is decided, all threads are ending */
	bool exec;	      /* one thread is waiting to be the only one */
	bool execed;	      /* has started a program of its own since it was forked */
	int exit_status;      /* as wait4 reports it */
	int exit_signal;      /* what its parent gets when it ends, or 0 */
	u64 xcomp_permitted;  /* dynamic components of the FPU that its tasks may use (kernel/xcomp.h); with task_lock */
	struct sighand *sighand;
	struct sigpending pending;
	u32 nthreads;
	struct mm *mm;
	struct files *files;
	struct process *parent;
	struct list children, sibling, threads, all;
	struct wait_queue child_exit;	/* the parent waits here for its children */
	struct wait_queue threads_gone; /* exec waits here for the other threads */
	struct group_stop stop;		/* with task_lock */
	struct tracee *tracee;		/* of the first thread, until its end has been told; with task_lock */
	int maker;			/* tid of the thread that forked it */
	struct {
		struct rlimit stack, files;
	} limits;			/* kernel/rlimit.c; with task_lock */
	struct itimers itimers;
	int death_signal;		/* what it gets when its parent ends, or 0 */
	int pgid;			/* process group, for the terminal's ^C */
	char cwd[PATH_MAX];		/* working directory, "" for the root; with task_lock */
	char exe[PATH_MAX];		/* the program's file; only its last thread changes it, in exec */
};

_Static_assert(offsetof(struct task, flags) == 0, "need_resched reads the first word");

static inline struct regs *task_regs(const struct task *task)
{
	return (struct regs *)task->kstack - 1;
}

static inline void task_set_flag(struct task *task, u32 flag)
{
	__atomic_fetch_or(&task->remote_flags, (u8)(flag >> 8), __ATOMIC_SEQ_CST);
}

static inline void task_clear_flag(struct task *task, u32 flag)
{
	__atomic_fetch_and(&task->remote_flags, (u8)~(flag >> 8), __ATOMIC_SEQ_CST);
}

/* The frame is loaded with IRET. One instruction: an interrupt's kernel section changes the same byte. */
static inline void task_change_frame(void)
{
	struct task *task = current;

	asm volatile("orb %1, %0" : "+m"(task->own_flags) : "i"(TASK_FRAME_CHANGED));
}

/* Guards process trees, thread lists, the tid table and zombies. Interrupts off: ^C comes in one. */
extern struct spinlock task_lock;

/* One more task is counted, before there is one: false if there are limit already, user tasks and kernel threads. */
bool task_reserve(u32 limit);
/*
 * A reserved task with its kernel stack, state TASK_SLEEPING, in no list; NULL when memory is out: no longer
 * reserved.
 */
struct task *task_alloc(const char *name);
/* The task's first switch will return to entry (an assembly label) with these registers. */
void task_set_entry(struct task *task, void (*entry)(void), u64 rbx, u64 r12);
/* The task's first run calls fn(arg). */
void task_set_kthread_entry(struct task *task, void (*fn)(void *), void *arg);
/* Frees a task that never ran or has ended, with its stack. Not the current one. */
void task_free(struct task *task);

/* Enters a task into the tid table (gives it a tid) or takes it out. With task_lock. */
void task_register(struct task *task);
void task_unregister(struct task *task);
void task_rename(struct task *task, int tid);
/* The task with that tid, or NULL. With task_lock. */
#define TID_BUCKETS 256
extern struct task *tid_table[TID_BUCKETS];

static inline struct task *task_find(int tid)
{
	struct task *task = tid_table[(u32)tid % TID_BUCKETS];

	while (task && task->tid != tid)
		task = task->next_tid;
	return task;
}

/* Calls fn for every user task. With task_lock. */
void tasks_for_each(void (*fn)(struct task *task, void *arg), void *arg);

/* A kernel thread that runs fn(arg) and ends when it returns. NULL when memory is out. */
struct task *kthread_create(const char *name, void (*fn)(void *), void *arg);

#endif
