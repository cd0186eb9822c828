/*
 * Wait queues and mutexes: how a task sleeps until something is true. wait_event re-tests its condition
 * after every wake-up; a killed task stops waiting, and mostly one with a signal too. Never with a spin
 * lock held or in an interrupt.
 */
#ifndef SCHED_WAIT_H
#define SCHED_WAIT_H

#include "kernel/list.h"
#include "kernel/errno.h"
#include "kernel/spinlock.h"
#include "kernel/types.h"
#include "sched/sched.h"
#include "sched/signal.h"

struct wait_queue {
	struct spinlock lock;
	struct list waiters;
};

struct waiter {
	struct task *task;
	struct list link;
};

void wait_queue_init(struct wait_queue *queue);

/* Puts the current task on the queue, once, in state TASK_SLEEPING; takes it off, TASK_RUNNING. */
void wait_prepare(struct wait_queue *queue, struct waiter *waiter);
void wait_finish(struct wait_queue *queue, struct waiter *waiter);

/* Wakes all waiters, or the first one. Any context. */
void wake_all(struct wait_queue *queue);
void wake_one(struct wait_queue *queue);

/*
 * Sleeps until condition holds: 0. -ERESTARTSYS if the task is killed or gets a signal first; wait_event_killable
 * does not care about signals.
 */
#define wait_event(queue, condition) wait_event_until(queue, condition, signal_waiting())
#define wait_event_killable(queue, condition) wait_event_until(queue, condition, task_killed())
#define wait_event_until(queue, condition, give_up)                                                \
	({                                                                                         \
		struct waiter waiter_;                                                             \
		long result_ = 0;                                                                  \
		waiter_.task = NULL;                                                               \
		while (!(condition)) {                                                             \
			wait_prepare(queue, &waiter_);                                             \
			if (condition)                                                             \
				break;                                                             \
			if (give_up) {                                                             \
				result_ = -ERESTARTSYS;                                            \
				break;                                                             \
			}                                                                          \
			schedule();                                                                \
		}                                                                                  \
		if (waiter_.task)                                                                  \
			wait_finish(queue, &waiter_);                                              \
		result_;                                                                           \
	})

/* Something that happens once, awaited by one task: on the waiter's stack, so wait_for_completion ignores kills. */
struct completion {
	volatile bool done;
	struct wait_queue queue;
};

void completion_init(struct completion *completion);
/* The last that its caller does with it. */
void complete(struct completion *completion);
void wait_for_completion(struct completion *completion);

/* A lock that sleeps. Not recursive. Its holder may sleep and be preempted; it ignores kills. */
struct mutex {
	u32 locked;
	volatile u32 contended; /* tasks that wait, or are about to */
	struct wait_queue waiters;
};

void mutex_init(struct mutex *mutex);
void mutex_lock_slow(struct mutex *mutex);

static inline bool mutex_try(struct mutex *mutex)
{
	return try_set_bit0(&mutex->locked);
}

static inline void mutex_lock(struct mutex *mutex)
{
	if (unlikely(!mutex_try(mutex)))
		mutex_lock_slow(mutex);
}

static inline void mutex_unlock(struct mutex *mutex)
{
	__atomic_store_n(&mutex->locked, 0, __ATOMIC_SEQ_CST);
	if (unlikely(mutex->contended))
		wake_one(&mutex->waiters);
}

#endif
