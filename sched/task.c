/*
 * Tasks as objects: allocation, the tid table, kernel threads. Who runs when is in sched.c; how a task
 * comes to be by fork is in fork.c, how it ends in exit.c.
 */
#include "fpu/fpu.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "sched/sched.h"
#include "sched/switch.h"
#include "sched/task.h"

#define FIRST_TID 2 /* 1 is the kernel's own process, the parent of all */

struct spinlock task_lock;

struct task *tid_table[TID_BUCKETS];
static int last_tid = FIRST_TID - 1;
static u32 ntasks;

/* What switch_stacks pops on the first switch to a task. */
struct first_frame {
	u64 r15, r14, r13, r12, rbp, rbx, return_address;
};

void task_set_entry(struct task *task, void (*entry)(void), u64 rbx, u64 r12)
{
	struct first_frame *frame = (struct first_frame *)task_regs(task) - 1;

	memset(frame, 0, sizeof(*frame));
	frame->rbx = rbx;
	frame->r12 = r12;
	frame->return_address = (u64)entry;
	task->rsp = (u64)frame;
}

void task_set_kthread_entry(struct task *task, void (*fn)(void *), void *arg)
{
	task_set_entry(task, first_kthread_run, (u64)fn, (u64)arg);
}

bool task_reserve(u32 limit)
{
	if (likely(__atomic_add_fetch(&ntasks, 1, __ATOMIC_RELAXED) <= limit))
		return true;
	__atomic_fetch_sub(&ntasks, 1, __ATOMIC_RELAXED);
	return false;
}

struct task *task_alloc(const char *name)
{
	struct task *task = kzalloc(sizeof(*task));

	if (task)
		task->kstack = kstack_alloc();
	if (!task || !task->kstack) {
		kfree(task);
		__atomic_fetch_sub(&ntasks, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	task->state = TASK_SLEEPING;
	task->affinity = ~0ul;
	task->cpu = this_cpu->id;
	list_init(&task->queue);
	list_init(&task->sibling);
	signals_init_task(task);
	list_init(&task->tracees);
	list_init(&task->ipc.callers);
	list_init(&task->ipc.link);
	copy_string(task->name, name, sizeof(task->name));
	return task;
}

void task_free(struct task *task)
{
	fpu_free(&task->fpu);
	kstack_free(task->kstack);
	kfree(task);
	__atomic_fetch_sub(&ntasks, 1, __ATOMIC_RELAXED);
}

void tasks_for_each(void (*fn)(struct task *task, void *arg), void *arg)
{
	for (u32 i = 0; i < TID_BUCKETS; i++)
		for (struct task *task = tid_table[i]; task; task = task->next_tid)
			fn(task, arg);
}

static void table_add(struct task *task, int tid)
{
	struct task **head = &tid_table[(u32)tid % TID_BUCKETS];

	task->tid = tid;
	task->next_tid = *head;
	*head = task;
}

static void table_remove(struct task *task)
{
	struct task **at = &tid_table[(u32)task->tid % TID_BUCKETS];

	while (*at != task)
		at = &(*at)->next_tid;
	*at = task->next_tid;
}

void task_register(struct task *task)
{
	table_add(task, ++last_tid);
}

void task_unregister(struct task *task)
{
	table_remove(task);
}

void task_rename(struct task *task, int tid)
{
	table_remove(task);
	table_add(task, tid);
}

struct task *kthread_create(const char *name, void (*fn)(void *), void *arg)
{
	struct task *task = task_reserve(MAX_TASKS) ? task_alloc(name) : NULL;

	if (!task)
		return NULL;
	task_set_kthread_entry(task, fn, arg);
	task_wake(task);
	return task;
}
