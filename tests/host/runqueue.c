/*
 * runqueue.c - the scheduler's queue against a ring of task numbers. The tasks are zeroed
 * structures: nothing here may run one.
 */
#include "host.h"

#include "sched/runqueue.h"

#define TASKS 40

static struct task tasks[TASKS];
static struct runqueue queue;

static int start_empty(void **state)
{
	memset(tasks, 0, sizeof(tasks));
	for (u32 i = 0; i < TASKS; i++)
		list_init(&tasks[i].queue);
	runqueue_init(&queue);
	return 0;
}

/* Fails if an empty queue gives a task, for instance its own head. */
static void empty(void **state)
{
	assert_null(runqueue_take(&queue));
	runqueue_add(&queue, &tasks[0]);
	assert_ptr_equal(runqueue_take(&queue), &tasks[0]);
	assert_null(runqueue_take(&queue));
	assert_int_equal(queue.length, 0);
}

/* Fails if a task that became runnable later runs first: a stack instead of a queue. */
static void first_in_first_out(void **state)
{
	for (u32 i = 0; i < TASKS; i++)
		runqueue_add(&queue, &tasks[i]);
	assert_int_equal(queue.length, TASKS);
	for (u32 i = 0; i < TASKS; i++)
		assert_ptr_equal(runqueue_take(&queue), &tasks[i]);
	assert_null(runqueue_take(&queue));
}

/* Fails if some task waits for more than one round while others run twice. */
static void round_robin_is_fair(void **state)
{
	u32 runs[TASKS] = { 0 };

	for (u32 i = 0; i < TASKS; i++)
		runqueue_add(&queue, &tasks[i]);
	for (u32 i = 0; i < 25 * TASKS; i++) {
		struct task *task = runqueue_take(&queue);

		runs[task - tasks]++;
		runqueue_add(&queue, task);
	}
	for (u32 i = 0; i < TASKS; i++)
		assert_int_equal(runs[i], 25);
}

/* Fails if the length and the list drift apart, or a task that left can be met again. */
static void random_against_model(void **state)
{
	u32 ring[TASKS], head = 0, length = 0;
	bool queued[TASKS] = { false };
	struct rng rng = { 99 };

	for (u32 step = 0; step < 100000; step++) {
		u32 which = (u32)rng_below(&rng, TASKS);

		if (!queued[which] && rng_below(&rng, 2)) {
			runqueue_add(&queue, &tasks[which]);
			ring[(head + length++) % TASKS] = which;
			queued[which] = true;
		} else if (length) {
			struct task *task = runqueue_take(&queue);

			assert_ptr_equal(task, &tasks[ring[head]]);
			assert_true(list_empty(&task->queue));
			queued[ring[head]] = false;
			head = (head + 1) % TASKS;
			length--;
		} else {
			assert_null(runqueue_take(&queue));
		}
		assert_int_equal(queue.length, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty, start_empty),
		cmocka_unit_test_setup(first_in_first_out, start_empty),
		cmocka_unit_test_setup(round_robin_is_fair, start_empty),
		cmocka_unit_test_setup(random_against_model, start_empty),
	};

	return cmocka_run_group_tests_name("runqueue", tests, NULL, NULL);
}
