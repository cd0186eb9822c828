/*
 * The run queue: tasks in the order in which they became runnable. Pure and inline, for it is on every switch;
 * the caller locks. Tested on the host.
 */
#ifndef SCHED_RUNQUEUE_H
#define SCHED_RUNQUEUE_H

#include "sched/task.h"

static inline void runqueue_init(struct runqueue *rq)
{
	list_init(&rq->tasks);
	rq->length = 0;
}

static inline void runqueue_add(struct runqueue *rq, struct task *task)
{
	list_add_before(&task->queue, &rq->tasks);
	rq->length++;
}

static inline void runqueue_remove(struct runqueue *rq, struct task *task)
{
	list_del(&task->queue);
	rq->length--;
}

/* The longest-waiting task, or NULL. */
static inline struct task *runqueue_take(struct runqueue *rq)
{
	struct task *task;

	if (list_empty(&rq->tasks))
		return NULL;
	task = list_first(&rq->tasks, struct task, queue);
	runqueue_remove(rq, task);
	return task;
}

#endif
