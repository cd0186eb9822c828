/*
 * A guest's life and its runs; see vcpu.h, and user/include/tarry.h for the calls. A guest is an open file: its last close
 * deletes it, and a run holds the file. The swap of the register contexts is fpu/guest.h's.
 */
#include "fpu/cpu.h"
#include "fpu/guest.h"
#include "fpu/image.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/insn.h"
#include "kernel/mm.h"
#include "kernel/ptrace.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"
#include "sched/sched.h"

#define RFLAGS_GUEST 0x240dd5ul /* CF PF AF ZF SF TF DF OF AC ID */
#define RFLAGS_ALWAYS (RFLAGS_IF | BIT(1))
#define ADDRESS_BITS 48

/* --- Life --- */

static void vcpu_delete(struct vcpu *vcpu)
{
	if (vcpu->mm)
		mm_put(vcpu->mm);
	if (vcpu->fpu.active)
		fpu_guest_free(&vcpu->fpu);
	kfree(vcpu);
}

static void vcpu_release(struct file *file)
{
	vcpu_delete((struct vcpu *)file->object);
}

static long no_transfer(struct file *file, u64 buf, size_t n)
{
	return -EINVAL;
}

static void vcpu_stat(struct file *file, struct stat *stat)
{
	stat->mode = S_IFCHR | 0600;
}

static const struct file_ops vcpu_ops = {
	.read = no_transfer, .write = no_transfer, .stat = vcpu_stat, .release = vcpu_release,
};

long sys_vcpu_create(void)
{
	struct vcpu *vcpu = kzalloc(sizeof(*vcpu));
	struct file *file = NULL;

	if (!vcpu)
		return -ENOMEM;
	vcpu->mm = mm_create();
	vcpu->frame.rflags = RFLAGS_ALWAYS;
	vcpu->frame.cs = USER_CS;
	vcpu->frame.ss = USER_SS;
	vcpu->pid = current->process->pid;
	if (vcpu->mm && fpu_guest_create(&vcpu->fpu))
		file = file_create(&vcpu_ops, O_RDWR, vcpu);
	if (file)
		return fd_install(file, 0, true);
	vcpu_delete(vcpu);
	return -ENOMEM;
}

struct vcpu *vcpu_get(int fd, long *error)
{
	struct file *file = file_get(fd);
	struct vcpu *vcpu;

	*error = -EBADF;
	if (!file)
		return NULL;
	vcpu = (struct vcpu *)file->object;
	if (file->ops != &vcpu_ops)
		*error = -EINVAL;
	else if (vcpu->pid != current->process->pid)
		*error = -EPERM;
	else if (__atomic_exchange_n(&vcpu->busy, 1, __ATOMIC_ACQUIRE))
		*error = -EBUSY;
	else
		*error = 0;
	if (!*error) {
		vcpu->file = file;
		return vcpu;
	}
	file_put(file);
	return NULL;
}

void vcpu_put(struct vcpu *vcpu)
{
	struct file *file = vcpu->file;

	__atomic_store_n(&vcpu->busy, 0, __ATOMIC_RELEASE);
	file_put(file);
}

/* --- General registers: struct regs without what the hardware and the kernel know alone --- */

#define BEFORE_RIP offsetof(struct regs, orig_rax)
_Static_assert(offsetof(struct tarry_vcpu_regs, rip) == BEFORE_RIP, "the same order");

static bool canonical(u64 address)
{
	u32 unused = 64 - ADDRESS_BITS;

	return (u64)((s64)(address << unused) >> unused) == address;
}

/* RIP and RSP may be anything: IRET and the guest's own accesses judge them. */
static long set_registers(struct vcpu *vcpu, u64 user_regs)
{
	struct tarry_vcpu_regs regs;

	if (copy_from_user(&regs, user_regs, sizeof(regs)))
		return -EFAULT;
	if (!canonical(regs.fs_base) || !canonical(regs.gs_base))
		return -EINVAL;
	memcpy(&vcpu->frame, &regs, BEFORE_RIP);
	vcpu->frame.orig_rax = ~0ul;
	vcpu->frame.rip = regs.rip;
	vcpu->frame.cs = USER_CS;
	vcpu->frame.rflags = (regs.rflags & RFLAGS_GUEST) | RFLAGS_ALWAYS;
	vcpu->frame.rsp = regs.rsp;
	vcpu->frame.ss = USER_SS;
	vcpu->segments = (struct user_segments){ .fs_base = regs.fs_base, .gs_base = regs.gs_base };
	return 0;
}

static void get_registers(const struct vcpu *vcpu, struct tarry_vcpu_regs *regs)
{
	memcpy(regs, &vcpu->frame, BEFORE_RIP);
	regs->rip = vcpu->frame.rip;
	regs->rflags = vcpu->frame.rflags & RFLAGS_GUEST;
	regs->rsp = vcpu->frame.rsp;
	regs->fs_base = vcpu->segments.fs_base;
	regs->gs_base = vcpu->segments.gs_base;
}

/* --- Entry and exit --- */

/* With task_lock: others look at a task's active context under it. */
static void exchange(struct vcpu *vcpu, struct mm *mm)
{
	struct regs *frame = task_regs(current), had = *frame;

	*frame = vcpu->frame;
	vcpu->frame = had;
	sched_exchange_space(mm, &vcpu->segments);
	task_change_frame();
}

static void enter(struct vcpu *vcpu)
{
	struct task *task = current;
	u64 flags = spin_lock_irq(&task_lock);

	fpu_guest_enter(&vcpu->fpu);
	exchange(vcpu, vcpu->mm);
	task->vcpu = vcpu;
	task->own_flags |= TASK_GUEST;
	spin_unlock_irq(&task_lock, flags);
}

/* The first entry is vcpu_run's; it may have been interrupted before. */
static u64 resumed(const struct vcpu *vcpu)
{
	return vcpu->entries ? vcpu->entries - 1 : 0;
}

/* vcpu_run, which the owner's frame is about to return from, has that result. */
static void leave(struct tarry_vcpu_exit exit, long result)
{
	struct task *task = current;
	struct vcpu *vcpu = task->vcpu;
	u64 flags = spin_lock_irq(&task_lock);

	fpu_guest_leave();
	exchange(vcpu, task->process->mm);
	task->vcpu = NULL;
	task->own_flags &= (u8)~TASK_GUEST;
	spin_unlock_irq(&task_lock, flags);
	task_regs(task)->rax = (u64)result;
	exit.resumed = resumed(vcpu);
	get_registers(vcpu, &exit.regs);
	vcpu->exit = exit;
	vcpu_put(vcpu);
}

/* Not by SYSCALL, at whose end a tracer is told anyway. */
static void leave_and_tell(struct tarry_vcpu_exit exit, long result)
{
	leave(exit, result);
	ptrace_syscall_exit(task_regs(current));
}

void vcpu_fault(u64 vector, u64 error, u64 address, u64 xfd_err)
{
	leave_and_tell((struct tarry_vcpu_exit){ .reason = TARRY_VCPU_FAULT, .vector = (u32)vector, .error = error,
						 .address = address, .xfd_err = xfd_err }, TARRY_VCPU_FAULT);
}

void vcpu_out_of_memory(void)
{
	leave_and_tell((struct tarry_vcpu_exit){ .reason = 0 }, -ENOMEM);
}

void vcpu_interrupted(void)
{
	leave_and_tell((struct tarry_vcpu_exit){ .reason = TARRY_VCPU_INTERRUPTED }, TARRY_VCPU_INTERRUPTED);
}

void vcpu_tick(void)
{
	struct vcpu *vcpu = current->vcpu;

	if (!vcpu->budget || --vcpu->budget)
		return;
	irq_enable();
	leave_and_tell((struct tarry_vcpu_exit){ .reason = TARRY_VCPU_BUDGET }, TARRY_VCPU_BUDGET);
	irq_disable();
}

void vcpu_resumes(void)
{
	current->vcpu->entries++;
}

/* --- Hypercalls --- */

static long set_xfd(struct vcpu *vcpu, u64 xfd)
{
	if (xfd & ~fpu_config.dynamic)
		return -ENODEV;
	fpu_guest_set_xfd(&vcpu->fpu, xfd);
	return 0;
}

/* True: the kernel has answered. */
static bool answer(struct vcpu *vcpu, struct regs *regs)
{
	switch (regs->rax) {
	case TARRY_HYPER_CLOCK:
		regs->rax = clock_ns();
		return true;
	case TARRY_HYPER_RESUMED:
		regs->rax = resumed(vcpu);
		return true;
	case TARRY_HYPER_XFD:
		regs->rax = (u64)set_xfd(vcpu, regs->rdi);
		return true;
	case TARRY_HYPER_INIT:
		fpu_guest_init(&vcpu->fpu, regs->rdi);
		regs->rax = 0;
		return true;
	default:
		return false;
	}
}

void vcpu_hypercall(struct regs *regs)
{
	if (!answer(current->vcpu, regs))
		leave((struct tarry_vcpu_exit){ .reason = TARRY_VCPU_HYPERCALL }, TARRY_VCPU_HYPERCALL);
}

void vcpu_int80(struct regs *regs)
{
	if (!answer(current->vcpu, regs))
		leave_and_tell((struct tarry_vcpu_exit){ .reason = TARRY_VCPU_HYPERCALL }, TARRY_VCPU_HYPERCALL);
}

/* The result is in the owner's frame when the run ends; here it is the guest's RAX, which entry.asm stores again. */
long sys_vcpu_run(int fd, u64 user_regs, u64 budget)
{
	long error;
	struct vcpu *vcpu = vcpu_get(fd, &error);

	if (!vcpu)
		return error;
	error = user_regs ? set_registers(vcpu, user_regs) : 0;
	if (error) {
		vcpu_put(vcpu);
		return error;
	}
	vcpu->budget = budget;
	vcpu->entries = 0;
	enter(vcpu);
	return (long)task_regs(current)->rax;
}

long sys_vcpu_exit_info(int fd, u64 user_info)
{
	long error;
	struct vcpu *vcpu = vcpu_get(fd, &error);

	if (!vcpu)
		return error;
	error = copy_to_user(user_info, &vcpu->exit, sizeof(vcpu->exit));
	vcpu_put(vcpu);
	return error;
}
