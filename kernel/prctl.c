/* prctl: the name of a thread, the signal that a process gets when its parent ends. All else is EINVAL, as on Linux. */
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"

#define PR_SET_PDEATHSIG 1
#define PR_GET_PDEATHSIG 2
#define PR_SET_NAME 15
#define PR_GET_NAME 16

/* Cut off where Linux does. */
static long set_name(struct task *task, u64 user_name)
{
	char name[sizeof(task->name)] = "";
	long n = string_from_user(name, user_name, sizeof(name));

	if (n == -EFAULT)
		return n;
	name[sizeof(name) - 1] = '\0';
	memcpy(task->name, name, sizeof(name));
	return 0;
}

static long set_death_signal(struct process *process, u64 signal)
{
	u64 flags;

	if (signal > SIGNALS)
		return -EINVAL;
	flags = spin_lock_irq(&task_lock);
	process->death_signal = (int)signal;
	spin_unlock_irq(&task_lock, flags);
	return 0;
}

long sys_prctl(int option, u64 argument)
{
	struct task *task = current;

	switch (option) {
	case PR_SET_PDEATHSIG:
		return set_death_signal(task->process, argument);
	case PR_GET_PDEATHSIG:
		return copy_to_user(argument, &task->process->death_signal, sizeof(task->process->death_signal));
	case PR_SET_NAME:
		return set_name(task, argument);
	case PR_GET_NAME:
		return copy_to_user(argument, task->name, sizeof(task->name));
	default:
		return -EINVAL;
	}
}
