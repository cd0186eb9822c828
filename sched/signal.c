/*
 * kill, tkill, tgkill with the default actions: a signal ends the process, or does nothing. Stopping is not
 * possible yet, so the stop signals do nothing too.
 */
#include "kernel/errno.h"
#include "kernel/syscall.h"
#include "sched/process.h"
#include "sched/signal.h"

static bool deadly(int signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGCONT:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGURG:
	case SIGWINCH:
		return false;
	default:
		return signal != 0;
	}
}

/*
 * What a program sends only to be handled. There are no handlers yet, and ending the process would be the
 * wrong answer: these calls do not exist.
 */
static bool needs_handler(int signal)
{
	switch (signal) {
	case SIGUSR1:
	case SIGUSR2:
	case SIGALRM:
	case SIGVTALRM:
	case SIGPROF:
	case SIGIO:
		return true;
	default:
		return signal >= SIGRTMIN;
	}
}

static long check_signal(int signal)
{
	if (signal < 0 || signal > SIGNALS)
		return -EINVAL;
	return needs_handler(signal) ? -ENOSYS : 0;
}

/* With task_lock. */
static void deliver(struct process *process, int signal)
{
	if (!deadly(signal) || process->zombie || process->killed)
		return;
	process->killed = true;
	process->exit_status = signal;
	process_kill_threads(process, NULL);
}

void signal_force(int signal)
{
	u64 flags = spin_lock_irq(&task_lock);

	deliver(current->process, signal);
	spin_unlock_irq(&task_lock, flags);
}

/* Delivers to all that match: everybody but the caller and the kernel's own (pgid 0), or one group. */
static long deliver_many(int pgid, int signal)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct process *process;
	long result = -ESRCH;

	list_for_each(process, process_list(), all) {
		if (pgid ? process->pgid != pgid : process == current->process)
			continue;
		deliver(process, signal);
		result = 0;
	}
	spin_unlock_irq(&task_lock, flags);
	return result;
}

void signal_group(int pgid, int signal)
{
	if (pgid)
		deliver_many(pgid, signal);
}

long sys_kill(int pid, int signal)
{
	struct process *process;
	long result = check_signal(signal);
	u64 flags;

	if (result)
		return result;
	if (pid <= 0)
		return deliver_many(pid == -1 ? 0 : pid ? -pid : current->process->pgid, signal);
	flags = spin_lock_irq(&task_lock);
	process = process_find(pid);
	if (process)
		deliver(process, signal);
	else
		result = -ESRCH;
	spin_unlock_irq(&task_lock, flags);
	return result;
}

/* Default actions concern the process, so the thread only has to exist. tgid 0: whatever process it is in. */
static long signal_thread(int tgid, int tid, int signal)
{
	struct task *task;
	long result = tid > 0 ? check_signal(signal) : -EINVAL;
	u64 flags;

	if (result)
		return result;
	flags = spin_lock_irq(&task_lock);
	task = task_find(tid);
	if (task && (!tgid || task->process->pid == tgid))
		deliver(task->process, signal);
	else
		result = -ESRCH;
	spin_unlock_irq(&task_lock, flags);
	return result;
}

long sys_tkill(int tid, int signal)
{
	return signal_thread(0, tid, signal);
}

long sys_tgkill(int tgid, int tid, int signal)
{
	return tgid <= 0 ? -EINVAL : signal_thread(tgid, tid, signal);
}

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
