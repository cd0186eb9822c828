/* The scheduler; see sched.c. */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "kernel/types.h"

struct mm;
struct spinlock;
struct task;
struct user_segments;

#define SLICE_TICKS 5

/* The running CPU takes tasks from now on; or none any more, and those in its queue go elsewhere. Interrupts off. */
void sched_open_cpu(void);
void sched_close_cpu(void);

/*
 * Gives the CPU to the next runnable task. The current one continues later if its state is TASK_RUNNING,
 * else after task_wake. Not with a lock held, not in an interrupt; interrupts are on when it returns.
 */
void schedule(void);
/* The same at the end of an interrupt, interrupts off: the current task stays runnable whatever its state. */
void schedule_preempted(void);
/*
 * Lays the current user task, which must be TASK_SLEEPING, aside and runs next, another sleeping one, at once; if
 * next has been woken by something else, runs elsewhere, a signal is there, or our time is over, they go through the
 * run queue.
 * Interrupts off, before and after. Under the caller's lock next can't be freed; it is let go.
 */
void schedule_to(struct task *next, struct spinlock *lock);

/* The current task leaves for ever. */
void sched_die(void) __attribute__((noreturn));

/*
 * Announces that the current task is about to sleep, before it tests what it waits for: whoever makes that true
 * wakes it afterwards, and this order must hold for the compiler and the CPU alike, or the wake-up is lost.
 */
void task_will_sleep(void);

/* Makes a sleeping task runnable; a stopped one (stop.c). Any context. */
void task_wake(struct task *task);
void task_wake_stopped(struct task *task);

/* Returns when the task, which is stopped and stays so, is on no CPU any more: its registers are all in memory. */
void sched_wait_off_cpu(const struct task *task);

/* The running task's address space becomes mm, its segments those; it had these. Interrupts off. */
void sched_exchange_space(struct mm *mm, struct user_segments *segments);

/* The tick's share of the work: time slices, and a look at what the other CPUs have to do. */
void sched_tick(void);

/* From now on the task may run on these CPUs only, some of which are online. With task_lock. */
void sched_set_affinity(struct task *task, u64 mask);

/* What a new task runs first, on its own stack: finishes the switch to it. */
void sched_first_run(void);

/* The current task becomes this CPU's idle loop; interrupts on. */
void idle_loop(void) __attribute__((noreturn));

#endif
