/*
 * Permission for large components of the FPU, tile data: a frame with them does not fit on alternate stacks of the
 * usual size, so a process asks for them first, and from then on every alternate stack must be large enough. The
 * permission is the process's, goes to its children, and ends with its program; room in the fpstate is each task's own
 * affair, at its first use (fpu/tiles.c). CPUID can't say that tiles are modelled; ARCH_GET_XCOMP_SUPP does.
 */
#include "fpu/image.h"
#include "fpu/tiles.h"
#include "kernel/errno.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "kernel/xcomp.h"
#include "sched/signal.h"
#include "sched/task.h"

#define ARCH_GET_XCOMP_SUPP 0x1021
#define ARCH_GET_XCOMP_PERM 0x1022
#define ARCH_REQ_XCOMP_PERM 0x1023

/* The user components that tasks of the process may use if they were permitted these dynamic ones. */
static u64 usable(u64 permitted)
{
	return (fpu_config.xcr0 & ~fpu_config.dynamic) | permitted;
}

/* Every thread's alternate stack, or none. With task_lock. */
static bool stacks_fit(const struct process *process, u64 permitted)
{
	u64 size = sigframe_size(usable(permitted));
	struct task *task;

	list_for_each(task, &process->threads, sibling)
		if (task->signals.stack.size && task->signals.stack.size < size)
			return false;
	return true;
}

static long request(u64 feature)
{
	struct process *process = current->process;
	u64 flags, wanted;
	long error = 0;

	if (feature >= XF_COUNT)
		return -EINVAL;
	if (!(BIT(feature) & fpu_config.dynamic))
		return -EOPNOTSUPP;
	flags = spin_lock_irq(&task_lock);
	wanted = process->xcomp_permitted | BIT(feature);
	if (wanted != process->xcomp_permitted && !stacks_fit(process, wanted))
		error = -ENOSPC;
	else
		process->xcomp_permitted = wanted;
	spin_unlock_irq(&task_lock, flags);
	return error;
}

long xcomp_prctl(u32 command, u64 argument)
{
	u64 value = command == ARCH_GET_XCOMP_SUPP ? fpu_config.xcr0 : usable(current->process->xcomp_permitted);

	if (command == ARCH_REQ_XCOMP_PERM)
		return request(argument);
	if (command != ARCH_GET_XCOMP_SUPP && command != ARCH_GET_XCOMP_PERM)
		return -EINVAL;
	return copy_to_user(argument, &value, sizeof(value));
}

/* Under the lock that a permission is given under: one of the two sees the other. */
long xcomp_set_stack(struct sigaltstack *stack, const struct sigaltstack *new)
{
	u64 flags = spin_lock_irq(&task_lock), permitted = current->process->xcomp_permitted;
	bool fits = !permitted || new->size > sigframe_size(usable(permitted));

	if (fits)
		*stack = *new;
	spin_unlock_irq(&task_lock, flags);
	return fits ? 0 : -ENOMEM;
}

void xcomp_first_use(u64 components, const struct regs *regs)
{
	struct task *task = current;
	bool allowed = !(components & ~task->process->xcomp_permitted) && fpu_has_registers(&task->fpu);
	struct siginfo info = { .signo = SIGILL, .code = ILL_ILLOPC, .address = regs->rip };

	if (allowed && fpu_first_use(&task->fpu, components))
		return;
	if (allowed)
		info = (struct siginfo){ .signo = SIGSEGV, .code = SI_KERNEL };
	task->signals.trap.vector = EXC_NO_FPU;
	task->signals.trap.error = 0;
	if (signal_fault(&info))
		klog("kill: %s[%d]: %s, rip %lx", task->name, task->tid,
		     allowed ? "no memory for its tiles" : "tiles without permission", regs->rip);
}
