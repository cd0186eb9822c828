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
#include "kernel/ptrace.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/switch.h"

#define SUPPORTED                                                                                  \
	(CLONE_SIGNAL_MASK | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK |     \
	 CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | \
	 CLONE_DETACHED | CLONE_CHILD_SETTID)

/* Programs may have as many tasks as leave this many for the kernel's own threads. */
#define KERNEL_TASKS 32

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
	if (parent->stop.stepping)
		regs->rflags &= ~RFLAGS_TF;
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

	if (task_reserve(MAX_TASKS - KERNEL_TASKS))
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
	if (!signals_fork_process(process, flags)) {
		process_free(process);
		return NULL;
	}
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

/* What new_process made: nobody has run in it. */
static void discard_process(struct process *process)
{
	mm_put(process->mm);
	files_put(process->files);
	process_free(process);
}

/*
 * Makes the child visible; its tid, or 0 if it is a thread of a process that is ending, or whose exec has begun. From
 * here on it may be killed, run, end and be freed: only its tid is safe to use, unless it has a vfork to complete.
 */
static int publish(struct process *process, struct task *child, struct tracee *tracee)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool adopted = false;
	int tid = 0;

	if (!process->killed && !process->exec) {
		process_add_task(process, child);
		tid = child->tid;
		adopted = ptrace_adopt_child(tracee, child);
	}
	spin_unlock_irq(&task_lock, flags);
	if (!adopted)
		kfree(tracee);
	return tid;
}

static enum ptrace_event event_of(u64 flags)
{
	if (flags & CLONE_VFORK)
		return PTRACE_EVENT_VFORK;
	return (flags & CLONE_SIGNAL_MASK) == SIGCHLD ? PTRACE_EVENT_FORK : PTRACE_EVENT_CLONE;
}

static void wake_published(int tid)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct task *child = task_find(tid);

	if (child)
		task_wake(child);
	spin_unlock_irq(&task_lock, flags);
}

/* Until the child, a process or a thread, runs another program or has ended, or the caller has been killed. */
static void wait_for_vfork(struct task *child, struct completion *vfork)
{
	u64 flags;

	wait_event_killable(&vfork->queue, vfork->done);
	flags = spin_lock_irq(&task_lock);
	if (!vfork->done) /* so the child is still there, and would find our stack gone */
		child->vfork = NULL;
	spin_unlock_irq(&task_lock, flags);
}

static long clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
	struct process *process = current->process;
	enum ptrace_event event = event_of(flags);
	struct tracee *tracee = NULL;
	struct completion vfork;
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
	if (ptrace_asked(event) && !(tracee = kzalloc(sizeof(*tracee))))
		goto no_memory;
	if (!(flags & CLONE_THREAD) && !(process = new_process(flags)))
		goto no_memory;
	completion_init(&vfork);
	child->vfork = flags & CLONE_VFORK ? &vfork : NULL;
	copy_registers(child, flags, stack, tls);
	signals_fork_task(child, flags);
	fpu_fork(&child->fpu);
	child->affinity = current->affinity;
	child->clear_child_tid = flags & CLONE_CHILD_CLEARTID ? child_tid : 0;
	child->set_child_tid = flags & CLONE_CHILD_SETTID ? child_tid : 0;
	tid = publish(process, child, tracee);
	if (!tid) {
		if (process != current->process)
			discard_process(process);
		task_free(child);
		return -EAGAIN;
	}
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user(parent_tid, &tid, sizeof(tid));
	wake_published(tid);
	ptrace_asked_event(event, (u64)tid);
	if (flags & CLONE_VFORK) {
		wait_for_vfork(child, &vfork);
		ptrace_asked_event(PTRACE_EVENT_VFORK_DONE, (u64)tid);
	}
	return tid;

no_memory:
	kfree(tracee);
	task_free(child);
	return -ENOMEM;
}

/* Interrupts on. */
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
	return clone(SIGCHLD, 0, 0, 0, 0);
}

long sys_vfork(void)
{
	return clone(CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0);
}
