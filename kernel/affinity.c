/*
 * Which CPUs a task may run on, and which one it is on: the system calls. The mask is the task's (struct task)
 * and goes on to its children; moving a task that is where it may not be is the scheduler's business.
 */
#include "kernel/errno.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/sched.h"
#include "sched/task.h"

/* The thread with that tid, or the caller. With task_lock. */
static struct task *find(int tid)
{
	return tid ? task_find(tid) : current;
}

/* A mask of the caller's may be shorter than ours, then the rest is 0, or longer, then the rest is ignored. */
long sys_sched_setaffinity(int tid, u32 size, u64 user_mask)
{
	u64 mask = 0, flags;
	struct task *task;
	long result = -ESRCH;

	if (copy_from_user(&mask, user_mask, MIN(size, sizeof(mask))))
		return -EFAULT;
	flags = spin_lock_irq(&task_lock);
	task = find(tid);
	if (task)
		result = mask & cpus_accepting() ? 0 : -EINVAL;
	if (!result)
		sched_set_affinity(task, mask);
	spin_unlock_irq(&task_lock, flags);
	return result;
}

/* The size of what was written. */
long sys_sched_getaffinity(int tid, u32 size, u64 user_mask)
{
	struct task *task;
	u64 mask = 0, flags;

	if (size < sizeof(mask) || size % sizeof(mask))
		return -EINVAL;
	flags = spin_lock_irq(&task_lock);
	task = find(tid);
	if (task)
		mask = task->affinity & cpus_accepting();
	spin_unlock_irq(&task_lock, flags);
	if (!task)
		return -ESRCH;
	return copy_to_user(user_mask, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

/* Good for the moment it was asked: the caller may be elsewhere by now. All CPUs are in node 0. */
long sys_getcpu(u64 user_cpu, u64 user_node)
{
	u32 cpu = this_cpu->id, node = 0;

	if (user_cpu && copy_to_user(user_cpu, &cpu, sizeof(cpu)))
		return -EFAULT;
	return user_node ? copy_to_user(user_node, &node, sizeof(node)) : 0;
}
