/* Processes as objects: the pid list, the family tree, forgetting the dead. All of it under task_lock. */
#include "kernel/errno.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "sched/process.h"
#include "sched/sched.h"

static LIST_HEAD(processes);
static u32 nprocesses;

struct process kernel_process = { .pid = 1 };

static void init_links(struct process *process)
{
	list_init(&process->children);
	list_init(&process->sibling);
	list_init(&process->threads);
	list_init(&process->all);
	list_init(&process->pending.queue);
	wait_queue_init(&process->child_exit);
	wait_queue_init(&process->threads_gone);
}

void process_init(void)
{
	init_links(&kernel_process);
	rlimits_init(&kernel_process);
}

struct process *process_create(struct process *parent)
{
	struct process *process = kzalloc(sizeof(*process));
	u64 flags;

	if (!process)
		return NULL;
	init_links(process);
	process->parent = parent;
	itimers_init(process);
	flags = spin_lock_irq(&task_lock);
	process->pgid = parent->pgid;
	process->limits = parent->limits;
	process->maker = current->tid;
	process->xcomp_permitted = parent->xcomp_permitted;
	memcpy(process->cwd, parent->cwd, sizeof(process->cwd));
	memcpy(process->exe, parent->exe, sizeof(process->exe));
	list_add_before(&process->sibling, &parent->children);
	list_add_before(&process->all, &processes);
	nprocesses++;
	spin_unlock_irq(&task_lock, flags);
	return process;
}

void process_free(struct process *process)
{
	u64 flags = spin_lock_irq(&task_lock);

	list_del(&process->sibling);
	list_del(&process->all);
	nprocesses--;
	signals_drop_pending(&process->pending, ~0ul);
	spin_unlock_irq(&task_lock, flags);
	sighand_put(process->sighand);
	kfree(process);
}

void process_add_task(struct process *process, struct task *task)
{
	task_register(task);
	if (!process->pid) {
		process->pid = task->tid;
		if (!process->pgid)
			process->pgid = process->pid;
	}
	task->process = process;
	task->mm = process->mm;
	list_add_before(&task->sibling, &process->threads);
	process->nthreads++;
	if (process->pending.set)
		task_set_flag(task, TASK_SIGNAL);
	stop_add_thread(process, task);
}

struct process *process_find(int pid)
{
	struct process *process;

	list_for_each(process, &processes, all)
		if (process->pid == pid)
			return process;
	return NULL;
}

u32 processes_count(void)
{
	return nprocesses;
}

struct list *process_list(void)
{
	return &processes;
}

void process_forget(struct process *process)
{
	if (process->tracee)
		untrace(process->tracee, 0);
	list_del(&process->sibling);
	list_del(&process->all);
	nprocesses--;
	kfree(process);
}

void process_tell_end(struct process *process)
{
	if (signal_tell_end(process->parent, process->exit_signal, process->pid, process->exit_status))
		process_forget(process);
}

void vfork_release(struct task *task)
{
	struct completion *vfork = task->vfork;

	task->vfork = NULL;
	if (vfork)
		complete(vfork);
}

void process_get_cwd(struct process *process, char *path)
{
	u64 flags = spin_lock_irq(&task_lock);

	copy_string(path, process->cwd, PATH_MAX);
	spin_unlock_irq(&task_lock, flags);
}

void process_set_cwd(struct process *process, const char *path)
{
	u64 flags = spin_lock_irq(&task_lock);

	copy_string(process->cwd, path, PATH_MAX);
	spin_unlock_irq(&task_lock, flags);
}

void process_kill_threads(struct process *process, const struct task *except)
{
	struct task *task;

	list_for_each(task, &process->threads, sibling) {
		if (task == except)
			continue;
		task_set_flag(task, TASK_KILLED);
		task_wake(task);
		stop_wake_killed(task);
	}
}
