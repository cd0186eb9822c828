/*
 * Wait queues and mutexes. A waiter marks itself sleeping before it tests its condition, so that a wake-up
 * between the test and the switch is not lost: task_wake makes it runnable again and schedule() keeps it.
 */
#include "kernel/errno.h"
#include "sched/sched.h"
#include "sched/task.h"
#include "sched/wait.h"

void wait_queue_init(struct wait_queue *queue)
{
	queue->lock.locked = 0;
	list_init(&queue->waiters);
}

void wait_prepare(struct wait_queue *queue, struct waiter *waiter)
{
	u64 flags = spin_lock_irq(&queue->lock);

	if (!waiter->task) {
		waiter->task = current;
		list_add_before(&waiter->link, &queue->waiters);
	}
	current->state = TASK_SLEEPING;
	spin_unlock_irq(&queue->lock, flags);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* queued before the condition is read: wake_all relies on it */
}

void wait_finish(struct wait_queue *queue, struct waiter *waiter)
{
	u64 flags = spin_lock_irq(&queue->lock);

	current->state = TASK_RUNNING;
	list_del(&waiter->link);
	spin_unlock_irq(&queue->lock, flags);
}

void wake_all(struct wait_queue *queue)
{
	struct waiter *waiter;
	u64 flags;

	/* A waiter queues itself before it tests its condition, so an empty queue means nobody can miss this. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (list_empty(&queue->waiters))
		return;
	flags = spin_lock_irq(&queue->lock);
	list_for_each(waiter, &queue->waiters, link)
		task_wake(waiter->task);
	spin_unlock_irq(&queue->lock, flags);
}

void wake_one(struct wait_queue *queue)
{
	u64 flags = spin_lock_irq(&queue->lock);

	if (!list_empty(&queue->waiters)) {
		struct waiter *waiter = list_first(&queue->waiters, struct waiter, link);

		list_del(&waiter->link);
		task_wake(waiter->task);
		list_add_before(&waiter->link, &queue->waiters);
	}
	spin_unlock_irq(&queue->lock, flags);
}

void completion_init(struct completion *completion)
{
	completion->done = false;
	wait_queue_init(&completion->queue);
}

/* All under the queue's lock: when the waiter has had the lock after that, nobody touches its stack any more. */
void complete(struct completion *completion)
{
	u64 flags = spin_lock_irq(&completion->queue.lock);
	struct waiter *waiter;

	completion->done = true;
	list_for_each(waiter, &completion->queue.waiters, link)
		task_wake(waiter->task);
	spin_unlock_irq(&completion->queue.lock, flags);
}

void wait_for_completion(struct completion *completion)
{
	bool done = false;

	while (!done) {
		struct waiter waiter = { .task = NULL };

		wait_prepare(&completion->queue, &waiter);
		done = completion->done;
		if (!done)
			schedule();
		wait_finish(&completion->queue, &waiter);
	}
}

void mutex_init(struct mutex *mutex)
{
	mutex->locked = mutex->contended = 0;
	wait_queue_init(&mutex->waiters);
}

void mutex_lock_slow(struct mutex *mutex)
{
	struct waiter waiter = { .task = NULL };

	__atomic_fetch_add(&mutex->contended, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		wait_prepare(&mutex->waiters, &waiter);
		if (mutex_try(mutex))
			break;
		schedule();
	}
	wait_finish(&mutex->waiters, &waiter);
	__atomic_fetch_sub(&mutex->contended, 1, __ATOMIC_SEQ_CST);
}
