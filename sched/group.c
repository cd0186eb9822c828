/* Process groups: setpgid and its relatives. All of it under task_lock. */
#include "kernel/errno.h"
#include "kernel/syscall.h"
#include "sched/process.h"

long sys_setpgid(int pid, int pgid)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct process *process = pid ? process_find(pid) : current->process;
	long result = -ESRCH;

	if (process && (process == current->process || process->parent == current->process) && pgid >= 0) {
		process->pgid = pgid ? pgid : process->pid;
		result = 0;
	}
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
