/* Timers that send signals: setitimer, alarm, timer_create; see itimer.c. */
#ifndef KERNEL_ITIMER_H
#define KERNEL_ITIMER_H

#include "kernel/time.h"
#include "sched/signal.h"
#include "sched/wait.h"

struct itimer {
	struct timer timer; /* in time.c's list while it is armed */
	struct process *process;
	u64 interval;	    /* ns; 0: once */
	struct siginfo info;
	bool silent;	    /* SIGEV_NONE */
	int tid;	    /* the thread that gets the signal, or 0: any */
	int clock;
	int overrun;	    /* expirations since the last signal was queued; with task_lock */
	struct list link;   /* the process's others, by falling id */
	int id;
};

/* In struct process. */
struct itimers {
	struct mutex lock; /* covers all but what expiring changes */
	struct itimer real; /* ITIMER_REAL */
	struct list made;   /* by timer_create */
	int count;
};

void itimers_init(struct process *process);
/* Those made by timer_create go; at exec, and at the end with the real one. */
void itimers_exec(struct process *process);
void itimers_exit(struct process *process);

#endif
