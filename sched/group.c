/* Process groups: setpgid and its relatives. All of it under task_lock. */
#include "kernel/errno.h"
#include "kernel/syscall.h"
#include "sched/process.h"

static bool exists(int pgid)
{
	struct process *process;

	list_for_each(process, process_list(), all)
		if (process->pgid == pgid)
			return true;
	return false;
}

/* A child may be moved until it has started another program: from then on it relies on its group. */
static long move(struct process *process, int pgid)
{
	if (process->parent == current->process ? process->execed : process != current->process)
		return process->parent == current->process ? -EACCES : -ESRCH;
	if (pgid != process->pid && !exists(pgid))
		return -EPERM;
	process->pgid = pgid;
	return 0;
}

long sys_setpgid(int pid, int pgid)
{
	struct process *process;
	long result;
	u64 flags;

	pid = pid ? pid : current->process->pid;
	pgid = pgid ? pgid : pid;
	if (pgid < 0)
		return -EINVAL;
	flags = spin_lock_irq(&task_lock);
	process = process_find(pid);
	result = process ? move(process, pgid) : task_find(pid) ? -EINVAL : -ESRCH;
	spin_unlock_irq(&task_lock, flags);
	return result;
}

long sys_getpgid(int pid)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct process *process = pid ? process_find(pid) : current->process;
	long result = process ? process->pgid : -ESRCH;

	spin_unlock_irq(&task_lock, flags);
	return result;
}

long sys_getpgrp(void)
{
	return sys_getpgid(0);
}
