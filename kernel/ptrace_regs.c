/*
 * A tracee's registers, as its tracer reads and writes them: the general ones, which lie in its frame and its struct
 * task, and those of the FPU, through the door of fpu/standard.h. A write is checked whole before it changes anything,
 * and can give the tracee nothing that it could not have given itself: no kernel selector, no flag of the system's.
 */
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/standard.h"
#include "fpu/xstate.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/ldt.h"
#include "kernel/ptrace.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define NT_PRSTATUS 1
#define NT_PRFPREG 2
#define NT_X86_XSTATE 0x202

/* CF PF AF ZF SF TF DF OF NT RF AC */
#define RFLAGS_TRACER 0x54dd5ul
#define RPL_USER 3u

/* Linux's struct user_regs_struct, the head of struct user. */
struct user_regs {
	struct regs frame;
	u64 fs_base, gs_base, ds, es, fs, gs;
};
_Static_assert(sizeof(struct user_regs) == 27 * 8 && offsetof(struct user_regs, fs_base) == 21 * 8, "Linux's layout");
#define USER_DEBUG_REGISTERS 848
#define USER_DEBUG_END 912
#define USER_SIZE 928

/* What FXSAVE would leave alone of its 512 bytes: there the kernel tells which components there are. */
#define FXSAVE_USED 464

/* --- General registers --- */

static void read_regs(struct task *task, struct user_regs *regs)
{
	*regs = (struct user_regs){
		.frame = *task_regs(task), .fs_base = task->fs_base, .gs_base = task->gs_base, .ds = task->ds,
		.es = task->es, .fs = task->fs, .gs = task->gs,
	};
	if (task->stop.stepping)
		regs->frame.rflags &= ~RFLAGS_TF;
}

static bool selector_refused(u64 selector)
{
	return (u16)selector && (selector & RPL_USER) != RPL_USER;
}

static bool regs_refused(const struct user_regs *regs)
{
	return !(u16)regs->frame.cs || !(u16)regs->frame.ss || selector_refused(regs->frame.cs) ||
	       selector_refused(regs->frame.ss) || selector_refused(regs->ds) || selector_refused(regs->es) ||
	       selector_refused(regs->fs) || selector_refused(regs->gs) || regs->fs_base >= USER_END ||
	       regs->gs_base >= USER_END;
}

/* A selector that the switch could not load becomes the null one; in those of the local table it looks itself. */
static u16 loadable(u64 selector)
{
	return (u16)selector == USER_SS || (u16)selector == USER_CS || selector & SELECTOR_LDT ? (u16)selector : 0;
}

/* What is wrong with CS, SS and RIP, IRET will find (entry.asm). A TF that the tracer writes is the program's own. */
static long write_regs(struct task *task, const struct user_regs *regs)
{
	struct regs *frame = task_regs(task);
	u64 rflags = frame->rflags;

	if (regs_refused(regs))
		return -EIO;
	if (regs->frame.rflags & RFLAGS_TF)
		task->stop.stepping = false;
	*frame = regs->frame;
	frame->rflags = (rflags & ~RFLAGS_TRACER) | (frame->rflags & RFLAGS_TRACER);
	if (task->stop.stepping)
		frame->rflags |= RFLAGS_TF;
	frame->cs = (u16)frame->cs;
	frame->ss = (u16)frame->ss;
	task->fs_base = regs->fs_base;
	task->gs_base = regs->gs_base;
	task->ds = loadable(regs->ds);
	task->es = loadable(regs->es);
	task->fs = loadable(regs->fs);
	task->gs = loadable(regs->gs);
	return 0;
}

long ptrace_get_regs(struct task *task, u64 user_regs)
{
	struct user_regs regs;

	read_regs(task, &regs);
	return copy_to_user(user_regs, &regs, sizeof(regs));
}

static long write_some_regs(struct task *task, u64 user_regs, u64 offset, u64 size)
{
	struct user_regs regs;

	read_regs(task, &regs);
	if (copy_from_user((u8 *)&regs + offset, user_regs, size))
		return -EFAULT;
	return write_regs(task, &regs);
}

long ptrace_set_regs(struct task *task, u64 user_regs)
{
	return write_some_regs(task, user_regs, 0, sizeof(struct user_regs));
}

/* The debug registers are there, and 0. */
long ptrace_peek_user(struct task *task, u64 offset, u64 *value)
{
	struct user_regs regs;

	if (offset % sizeof(*value) || offset >= USER_SIZE)
		return -EIO;
	*value = 0;
	read_regs(task, &regs);
	if (offset < sizeof(regs))
		memcpy(value, (u8 *)&regs + offset, sizeof(*value));
	return 0;
}

long ptrace_poke_user(struct task *task, u64 offset, u64 value)
{
	struct user_regs regs;

	if (offset % sizeof(value) || offset >= USER_SIZE)
		return -EIO;
	if (offset >= sizeof(regs))
		return offset >= USER_DEBUG_REGISTERS && offset < USER_DEBUG_END && !value ? 0 : -EIO;
	read_regs(task, &regs);
	memcpy((u8 *)&regs + offset, &value, sizeof(value));
	return write_regs(task, &regs);
}

/* --- The FPU's --- */

/* The whole image; NULL: no memory. task_lock keeps the update call (kernel/update.c) away, here and below. */
static struct xsave_area *read_image(struct task *task)
{
	struct xsave_area *image = fpu_area_alloc(fpu_standard_size());
	u64 flags;

	if (!image)
		return NULL;
	flags = spin_lock_irq(&task_lock);
	fpu_standard_read(&task->fpu, image, FPU_EV_REGSET_READ);
	spin_unlock_irq(&task_lock, flags);
	return image;
}

static long write_image(struct task *task, const struct xsave_area *image)
{
	long error = fpu_standard_check(image, fpu_standard_features(&task->fpu));
	u64 flags;

	if (error)
		return error;
	flags = spin_lock_irq(&task_lock);
	fpu_standard_write(&task->fpu, image, fpu_config.xcr0, FPU_EV_REGSET_WRITE);
	spin_unlock_irq(&task_lock, flags);
	return 0;
}

/* What CPUID tells programs of an image's length: modelled tiles are not in it. */
static u64 shown_size(void)
{
	return fpu_config.native ? fpu_standard_size() :
				   xstate_standard_size(&fpu_config.layout, fpu_config.xcr0 & ~XFM_TILES);
}

/* size: no more than there is. */
static long get_xstate(struct task *task, u64 user, u64 size)
{
	struct xsave_area *image = read_image(task);
	u64 features = fpu_config.xcr0 & ~(size < fpu_standard_size() ? XFM_TILES : 0);
	long error;

	if (!image)
		return -ENOMEM;
	memcpy((u8 *)image + FXSAVE_USED, &features, sizeof(features));
	error = copy_to_user(user, image, size);
	fpu_area_free(image);
	return error;
}

/* An image without tiles, laid over what the tracee has, leaves these alone. */
static long read_over(struct xsave_area *image, u64 user, u64 size)
{
	u64 kept = size < fpu_standard_size() ? image->xstate_bv & XFM_TILES : 0;

	if (copy_from_user(image, user, size))
		return -EFAULT;
	if (size < fpu_standard_size() && image->xstate_bv & XFM_TILES)
		return -EINVAL;
	image->xstate_bv |= kept;
	return 0;
}

static long set_xstate(struct task *task, u64 user, u64 size)
{
	struct xsave_area *image;
	long error;

	if (size != fpu_standard_size() && size != shown_size())
		return -EFAULT;
	image = read_image(task);
	if (!image)
		return -ENOMEM;
	error = read_over(image, user, size);
	if (!error)
		error = write_image(task, image);
	fpu_area_free(image);
	return error;
}

static long get_legacy(struct task *task, u64 user, u64 size)
{
	struct xsave_area *image = read_image(task);
	long error;

	if (!image)
		return -ENOMEM;
	error = copy_to_user(user, image, size);
	fpu_area_free(image);
	return error;
}

/* The other components keep their values: everything is read, these are laid over it, everything is written. */
static long set_legacy(struct task *task, u64 user, u64 size)
{
	struct xsave_area *image;
	long error;

	if (size != XSAVE_LEGACY_SIZE)
		return -EINVAL;
	image = read_image(task);
	if (!image)
		return -ENOMEM;
	error = copy_from_user(image, user, FXSAVE_USED);
	image->xstate_bv |= XFM_LEGACY;
	if (!error)
		error = write_image(task, image);
	fpu_area_free(image);
	return error;
}

long ptrace_get_fpregs(struct task *task, u64 user_fpregs)
{
	return fpu_has_registers(&task->fpu) ? get_legacy(task, user_fpregs, XSAVE_LEGACY_SIZE) : -ENODEV;
}

long ptrace_set_fpregs(struct task *task, u64 user_fpregs)
{
	return fpu_has_registers(&task->fpu) ? set_legacy(task, user_fpregs, XSAVE_LEGACY_SIZE) : -ENODEV;
}

/* --- Register sets --- */

/* room: what the tracer has. What it reads into less than the whole, it can write back. */
static u64 regset_size(u64 type, u64 room)
{
	switch (type) {
	case NT_PRSTATUS:
		return sizeof(struct user_regs);
	case NT_PRFPREG:
		return XSAVE_LEGACY_SIZE;
	case NT_X86_XSTATE:
		return room < fpu_standard_size() ? shown_size() : fpu_standard_size();
	default:
		return 0;
	}
}

static long get_regset(struct task *task, u64 type, u64 user, u64 size)
{
	struct user_regs regs;

	if (type == NT_PRSTATUS) {
		read_regs(task, &regs);
		return copy_to_user(user, &regs, size);
	}
	if (!fpu_has_registers(&task->fpu))
		return -ENODEV;
	return type == NT_PRFPREG ? get_legacy(task, user, size) : get_xstate(task, user, size);
}

static long set_regset(struct task *task, u64 type, u64 user, u64 size)
{
	if (type == NT_PRSTATUS)
		return write_some_regs(task, user, 0, size);
	if (!fpu_has_registers(&task->fpu))
		return -ENODEV;
	return type == NT_PRFPREG ? set_legacy(task, user, size) : set_xstate(task, user, size);
}

long ptrace_regset(struct task *task, u64 type, u64 user_iovec, bool write)
{
	struct {
		u64 base, size;
	} iovec;
	u64 size;
	long error;

	if (copy_from_user(&iovec, user_iovec, sizeof(iovec)))
		return -EFAULT;
	size = regset_size(type, write ? ~0ul : iovec.size);
	if (!size || iovec.size % sizeof(u64))
		return -EINVAL;
	size = MIN(size, iovec.size);
	error = (write ? set_regset : get_regset)(task, type, iovec.base, size);
	return error ? error : copy_to_user(user_iovec + offsetof(typeof(iovec), size), &size, sizeof(size));
}
