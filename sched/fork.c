/*
 * fork, vfork, clone: a new task that returns from the same system call with 0. Either a thread (CLONE_VM
 * and CLONE_THREAD: same process) or a process of its own, whose memory is a copy-on-write copy unless
 * CLONE_VM shares it. Nothing is visible to others before everything that can fail has succeeded.
 */
#include "fpu/fpu.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/mm.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/sched.h"

#define SUPPORTED                                                                                  \
	(CLONE_SIGNAL_MASK | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK |     \
	 CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | \
	 CLONE_DETACHED | CLONE_CHILD_SETTID)

/* Programs may have as many tasks as leave this many for the kernel's own threads. */
#define KERNEL_TASKS 32

extern void first_return_to_user(void);

/* One line in the log for each flag. */
static void log_unsupported(u64 flags)
{
	static u64 told;

	if (flags & ~told)
		klog("clone: flags %lx are not supported (%s[%d])", flags & ~told, current->name, current->tid);
	told |= flags;
}

static bool flags_valid(u64 flags)
{
	if (flags & ~(u64)SUPPORTED) {
		log_unsupported(flags & ~(u64)SUPPORTED);
		return false;
	}
	if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
		return false;
	return !(flags & CLONE_SIGHAND) || flags & CLONE_VM;
}

/* The child's registers: the caller's, but for the result and what the flags ask for. */
static void copy_registers(struct task *child, u64 flags, u64 stack, u64 tls)
{
	struct task *parent = current;
	struct regs *regs = task_regs(child);

	*regs = *task_regs(parent);
	regs->rax = 0;
	if (stack)
		regs->rsp = stack;
	asm volatile("mov %%ds, %0\n\tmov %%es, %1\n\tmov %%fs, %2\n\tmov %%gs, %3"
		     : "=m"(child->ds), "=m"(child->es), "=m"(child->fs), "=m"(child->gs));
	child->fs_base = flags & CLONE_SETTLS ? tls : cpu_features.fsgsbase ? rdfsbase() : rdmsr(MSR_FS_BASE);
	child->gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	task_set_entry(child, first_return_to_user, 0, 0);
}

static bool too_many_tasks(void)
{
	static bool told;

	if (tasks_count() < MAX_TASKS - KERNEL_TASKS)
		return false;
	if (!told)
		klog("clone: no more than %u tasks (%s[%d])", MAX_TASKS - KERNEL_TASKS, current->name, current->tid);
	told = true;
	return true;
}

static struct process *new_process(u64 flags)
{
	struct process *parent = current->process, *process = process_create(parent);

	if (!process)
		return NULL;
	process->mm = flags & CLONE_VM ? mm_get(parent->mm) : mm_fork(parent->mm);
	process->files = flags & CLONE_FILES ? files_get(parent->files) : files_fork(parent->files);
	if (process->mm && process->files)
		return process;
	if (process->mm)
		mm_put(process->mm);
	if (process->files)
		files_put(process->files);
	process_free(process);
	return NULL;
}

/* Makes the child visible and runnable. A thread of a process that is ending, or whose exec has begun, is refused. */
static bool publish(struct process *process, struct task *child)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool ok = !process->killed && !process->exec;

	if (ok)
		process_add_task(process, child);
	spin_unlock_irq(&task_lock, flags);
	return ok;
}

/*
 * A killed parent waits too: its stack holds vfork. wait_finish takes the queue's lock, under which the child
 * sets done, so the child has let go of vfork when this returns.
 */
static void wait_vfork(struct vfork *vfork)
{
	bool done = false;

	while (!done) {
		struct waiter waiter = { .task = NULL };

		wait_prepare(&vfork->queue, &waiter);
		done = vfork->done;
		if (!done)
			schedule();
		wait_finish(&vfork->queue, &waiter);
	}
}

static long clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
	struct process *process = current->process;
	struct vfork vfork = { .done = false };
	struct task *child;
	int tid;

	if (!flags_valid(flags))
		return -EINVAL;
	if (flags & CLONE_SETTLS && tls >= USER_END)
		return -EPERM;
	if (too_many_tasks())
		return -EAGAIN;
	child = task_alloc(current->name);
	if (!child)
		return -ENOMEM;
	if (!fpu_create(&child->fpu, !fpu_has_registers(&current->fpu)))
		goto no_memory;
	if (!(flags & CLONE_THREAD) && !(process = new_process(flags)))
		goto no_memory;
	if (flags & CLONE_VFORK) {
		wait_queue_init(&vfork.queue);
		process->vfork = &vfork;
	}
	copy_registers(child, flags, stack, tls);
	fpu_fork(&child->fpu);
	child->affinity = current->affinity;
	child->clear_child_tid = flags & CLONE_CHILD_CLEARTID ? child_tid : 0;
	child->set_child_tid = flags & CLONE_CHILD_SETTID ? child_tid : 0;
	if (!publish(process, child)) {
		task_free(child);
		return -EAGAIN;
	}
	tid = child->tid;
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user(parent_tid, &tid, sizeof(tid));
	task_wake(child);
	if (flags & CLONE_VFORK)
		wait_vfork(&vfork);
	return tid;

no_memory:
	task_free(child);
	return -ENOMEM;
}

/* First thing that a new user task does, interrupts on. */
void fork_first_run(void);
void fork_first_run(void)
{
	u64 address = current->set_child_tid;

	sched_first_run();
	current->robust_list = 0;
	if (address)
		copy_to_user(address, &current->tid, sizeof(current->tid));
}

long sys_clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
	return clone(flags, stack, parent_tid, child_tid, tls);
}

long sys_fork(void)
{
	return clone(0, 0, 0, 0, 0);
}

long sys_vfork(void)
{
	return clone(CLONE_VFORK | CLONE_VM, 0, 0, 0, 0);
}
