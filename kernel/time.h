/* Time: the TSC clock, the tick, sleeping. See time.c. */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/list.h"
#include "kernel/types.h"

#define TICK_HZ 1000
#define NSEC_PER_SEC 1000000000ul
#define NSEC_PER_TICK (NSEC_PER_SEC / TICK_HZ)

/* Nanoseconds since the kernel's first instruction; 0 until time_init has run. Any context. */
u64 clock_ns(void);
/* TSC at the kernel's first instruction. */
extern u64 boot_tsc;

/* Measures TSC and APIC timer against the PIT. */
void time_init(void);
/* Starts the running CPU's tick. */
void time_init_cpu(void);
/* Stops it, on a CPU that goes out of use. */
void time_stop_cpu(void);

/* The timer interrupt, interrupts off. */
void timer_interrupt(void);

struct task;
/* A task that waits for a point in time; on the stack of the waiter. */
struct timer {
	u64 when; /* clock_ns */
	struct task *task;
	u64 (*fn)(struct timer *timer, u64 now); /* if task is NULL: called with interrupts off; when again, or 0 */
	struct list link;
};

/*
 * At when, wakes the task or calls fn (unless cancelled first). Cancelling an expired timer does nothing, but fn is not
 * running when it returns. Not with task_lock.
 */
void timer_add(struct timer *timer, u64 when, struct task *task);
void timer_cancel(struct timer *timer);
/* True once the task has been woken. */
static inline bool timer_expired(const struct timer *timer)
{
	return list_empty(&timer->link);
}

/* Sleeps until clock_ns() >= when. 0, or -EINTR if the task is killed or gets a signal. */
long sleep_until(u64 when);

#endif
