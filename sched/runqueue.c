/* The run queue: tasks in the order in which they became runnable. Pure code, tested on the host. */
#include "sched/sched.h"
#include "sched/task.h"

void runqueue_init(struct runqueue *rq)
{
	list_init(&rq->tasks);
	rq->length = 0;
}

void runqueue_add(struct runqueue *rq, struct task *task)
{
	list_add_before(&task->queue, &rq->tasks);
	rq->length++;
}

struct task *runqueue_take(struct runqueue *rq)
{
	struct task *task;

	if (list_empty(&rq->tasks))
		return NULL;
	task = list_first(&rq->tasks, struct task, queue);
	list_del(&task->queue);
	rq->length--;
	return task;
}
