/*
 * Resource limits. The stack's and the number of open files can be changed, because something heeds them (fault.c,
 * fd.c); the others are what they are: infinite, or a constant of the kernel. A limit that nobody would heed is never
 * accepted. They belong to the process, go on through fork and exec, and may be lowered for good.
 */
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"

enum { RLIMIT_DATA = 2, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_COUNT = 16 };

#define INFINITE ~0ul

void rlimits_init(struct process *process)
{
	process->limits.stack = (struct rlimit){ STACK_LIMIT, STACK_LIMIT };
	process->limits.files = (struct rlimit){ MAX_FILES, MAX_FILES };
}

static struct rlimit *changeable(struct process *process, u32 resource)
{
	return resource == RLIMIT_STACK	   ? &process->limits.stack :
	       resource == RLIMIT_NOFILE ? &process->limits.files :
					     NULL;
}

static struct rlimit limit_of(struct process *process, u32 resource)
{
	u64 value = resource == RLIMIT_CORE ? 0 : resource == RLIMIT_NPROC ? MAX_TASKS : INFINITE;
	struct rlimit *limit = changeable(process, resource);

	return limit ? *limit : (struct rlimit){ value, value };
}

static long set_limit(struct process *process, u32 resource, const struct rlimit *new)
{
	struct rlimit old = limit_of(process, resource), *limit = changeable(process, resource);

	if (new->soft > new->hard)
		return -EINVAL;
	if (new->hard > old.hard)
		return -EPERM;
	if (limit)
		*limit = *new;
	else if (new->soft != old.soft || new->hard != old.hard)
		return -EPERM;
	return 0;
}

long sys_prlimit64(int pid, u32 resource, u64 user_new, u64 user_old)
{
	struct rlimit old, new;
	struct process *process;
	long error = 0;
	u64 flags;

	if (resource >= RLIMIT_COUNT)
		return -EINVAL;
	if (user_new && copy_from_user(&new, user_new, sizeof(new)))
		return -EFAULT;
	flags = spin_lock_irq(&task_lock);
	process = pid ? process_find(pid) : current->process;
	if (!process)
		error = -ESRCH;
	else
		old = limit_of(process, resource);
	if (!error && user_new)
		error = set_limit(process, resource, &new);
	spin_unlock_irq(&task_lock, flags);
	if (!error && user_old && copy_to_user(user_old, &old, sizeof(old)))
		return -EFAULT;
	return error;
}

long sys_getrlimit(u32 resource, u64 user_limit)
{
	return user_limit ? sys_prlimit64(0, resource, 0, user_limit) : -EFAULT;
}

long sys_setrlimit(u32 resource, u64 user_limit)
{
	return user_limit ? sys_prlimit64(0, resource, user_limit, 0) : -EFAULT;
}
