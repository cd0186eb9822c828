/*
 * The signal frame, byte for byte Linux's: return address, ucontext, siginfo, and above them the registers of the FPU
 * (fpu/frame.c). Pushing changes nothing until everything has been written. rt_sigreturn believes nothing that it
 * reads: it works on copies, checks first, and what it can't check ends as a fault of the program: also what IRET finds
 * out (entry.asm).
 */
#include "fpu/frame.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "sched/signal.h"
#include "sched/task.h"

#define RED_ZONE 128
#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

/* CF PF AF ZF SF TF DF OF RF AC */
#define RFLAGS_USER 0x50dd5ul
#define RFLAGS_HANDLER_CLEARS 0x10500ul /* TF DF RF */
#define SEGMENT_STACK 0xf200u /* present, privilege level 3, writable data; as LAR tells it */
#define SEGMENT_STACK_MASK 0xfa00u

struct sigcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 error, trap, oldmask, cr2, fpstate;
	u64 pkru; /* of an integer-only task, which has no image; Linux has the first of eight reserved words here */
	u64 reserved[7];
};

struct sigframe {
	u64 return_address;
	u64 uc_flags, uc_link;
	struct sigaltstack stack;
	struct sigcontext mcontext;
	u64 mask;
	struct siginfo info;
	u8 info_rest[SIGINFO_SIZE - sizeof(struct siginfo)];
};
_Static_assert(sizeof(struct sigframe) == 440 && offsetof(struct sigframe, info) == 312, "Linux's layout");

u64 sigframe_size(u64 features)
{
	return ALIGN_UP(sizeof(struct sigframe) + 8 + fpu_frame_size(features) + 63, 16);
}

static void save_registers(struct sigcontext *to, const struct regs *regs)
{
	const struct task_signals *signals = &current->signals;

	*to = (struct sigcontext){
		.r8 = regs->r8, .r9 = regs->r9, .r10 = regs->r10, .r11 = regs->r11, .r12 = regs->r12,
		.r13 = regs->r13, .r14 = regs->r14, .r15 = regs->r15, .rdi = regs->rdi, .rsi = regs->rsi,
		.rbp = regs->rbp, .rbx = regs->rbx, .rdx = regs->rdx, .rax = regs->rax, .rcx = regs->rcx,
		.rsp = regs->rsp, .rip = regs->rip, .rflags = regs->rflags, .cs = (u16)regs->cs, .ss = (u16)regs->ss,
		.error = signals->trap.error, .trap = signals->trap.vector, .cr2 = signals->trap.address,
	};
}

static void load_registers(struct regs *regs, const struct sigcontext *from)
{
	regs->r8 = from->r8;
	regs->r9 = from->r9;
	regs->r10 = from->r10;
	regs->r11 = from->r11;
	regs->r12 = from->r12;
	regs->r13 = from->r13;
	regs->r14 = from->r14;
	regs->r15 = from->r15;
	regs->rdi = from->rdi;
	regs->rsi = from->rsi;
	regs->rbp = from->rbp;
	regs->rbx = from->rbx;
	regs->rdx = from->rdx;
	regs->rax = from->rax;
	regs->rcx = from->rcx;
	regs->rsp = from->rsp;
	regs->rip = from->rip;
	regs->rflags = (regs->rflags & ~RFLAGS_USER) | (from->rflags & RFLAGS_USER);
}

/* True if the selector is one of writable data at user level: IRET takes it for SS. */
static bool stack_segment(u16 selector)
{
	u32 rights = 0;
	bool valid;

	asm volatile("lar %2, %0" : "+r"(rights), "=@ccz"(valid) : "r"((u32)selector));
	return valid && (rights & SEGMENT_STACK_MASK) == SEGMENT_STACK;
}

/* Where the frame goes, and the FPU's part (0: none); 0 if the alternate stack is too small. */
static u64 place_frame(u64 rsp, const struct sigaction *action, u64 *fpstate)
{
	const struct sigaltstack *stack = &current->signals.stack;
	bool inside = sigstack_active(rsp), entering = !inside && action->flags & SA_ONSTACK && stack->size;
	u64 sp = entering ? stack->sp + stack->size : rsp - RED_ZONE;

	*fpstate = 0;
	if (fpu_has_registers(&current->fpu))
		*fpstate = sp = ALIGN_DOWN(sp - fpu_frame_size_of(&current->fpu), 64);
	sp = ALIGN_DOWN(sp - sizeof(struct sigframe), 16) - 8;
	if ((inside || entering) && !(sp > stack->sp && sp - stack->sp <= stack->size))
		return 0;
	return sp;
}

/* Writing to the alternate stack must not depend on the keys that the interrupted code had open. */
static long write_frame(u64 sp, const struct sigframe *frame, void *image)
{
	struct fpu_task *fpu = &current->fpu;
	u32 keys = fpu_frame_open_keys(fpu);
	u64 fpstate = frame->mcontext.fpstate;

	if ((image && fpu_frame_write(fpstate, image)) || copy_to_user(sp, frame, sizeof(*frame))) {
		fpu_frame_close_keys(fpu, keys);
		return -EFAULT;
	}
	return 0;
}

long sigframe_push(struct regs *regs, const struct sigaction *action, const struct siginfo *info, u64 mask)
{
	struct task *task = current;
	struct sigframe frame = { .return_address = action->restorer, .mask = mask, .info = *info };
	void *image = NULL;
	u64 sp, fpstate;
	long error;

	sp = place_frame(regs->rsp, action, &fpstate);
	if (!sp || !(action->flags & SA_RESTORER))
		return -EFAULT;
	save_registers(&frame.mcontext, regs);
	frame.uc_flags = UC_SIGCONTEXT_SS | (regs->cs == USER_CS ? UC_STRICT_RESTORE_SS : 0) | (fpstate ? UC_FP_XSTATE : 0);
	frame.stack = task->signals.stack;
	frame.mcontext.fpstate = fpstate;
	frame.mcontext.pkru = fpstate ? 0 : fpu_frame_keys();
	if (fpstate && !(image = fpu_frame_make(&task->fpu)))
		return -ENOMEM;
	error = write_frame(sp, &frame, image);
	fpu_frame_free(image);
	if (error)
		return error;
	fpu_frame_handler(&task->fpu);
	if (task->signals.stack.flags & SS_AUTODISARM)
		task->signals.stack = (struct sigaltstack){ .flags = SS_DISABLE };
	regs->rdi = (u64)info->signo;
	regs->rsi = sp + offsetof(struct sigframe, info);
	regs->rdx = sp + offsetof(struct sigframe, uc_flags);
	regs->rax = 0;
	regs->rip = action->handler;
	regs->rsp = sp;
	regs->cs = USER_CS;
	regs->ss = stack_segment((u16)regs->ss) ? regs->ss : USER_SS;
	regs->rflags &= ~RFLAGS_HANDLER_CLEARS;
	return 0;
}

static void fault(const struct regs *regs, const char *what)
{
	const struct siginfo info = { .signo = SIGSEGV, .code = SI_KERNEL };

	current->signals.trap.vector = EXC_PROTECTION;
	current->signals.trap.error = 0;
	if (signal_fault(&info))
		klog("kill: %s[%d]: rt_sigreturn to %s, rip %lx, rsp %lx", current->name, current->tid, what, regs->rip,
		     regs->rsp);
}

/* What is wrong with them IRET will say, and the program gets a signal for it. */
static void load_selectors(struct regs *regs, const struct sigframe *frame)
{
	u16 ss = frame->mcontext.ss | 3;

	regs->cs = frame->mcontext.cs | 3;
	regs->ss = frame->uc_flags & UC_STRICT_RESTORE_SS || stack_segment(ss) ? ss : USER_SS;
}

/* The FPU's part; *image stays NULL if there is none. */
static long read_image(const struct sigframe *frame, void **image)
{
	if (!fpu_has_registers(&current->fpu) || !frame->mcontext.fpstate)
		return 0;
	return fpu_frame_read(frame->mcontext.fpstate, image);
}

/*
 * Returns what RAX is to be. The frame lies above its own return address, which the handler has popped. If only the
 * FPU's part is bad, the rest counts, as on Linux: once it has handled its SIGSEGV, the program goes on where it was
 * interrupted, with initial FPU registers.
 */
long sys_rt_sigreturn(void)
{
	struct task *task = current;
	struct regs *regs = task_regs(task);
	u32 keys = fpu_frame_open_keys(&task->fpu);
	struct sigframe frame;
	void *image = NULL;
	long error;

	regs->orig_rax = ~0ul;
	if (copy_from_user(&frame, regs->rsp - 8, sizeof(frame))) {
		fpu_frame_close_keys(&task->fpu, keys);
		fault(regs, "a bad frame");
		return 0;
	}
	error = read_image(&frame, &image);
	signal_set_mask(frame.mask);
	load_registers(regs, &frame.mcontext);
	load_selectors(regs, &frame);
	task_change_frame();
	fpu_frame_return(&task->fpu, image, (u32)frame.mcontext.pkru);
	fpu_frame_free(image);
	if (error)
		fault(regs, "bad FPU registers");
	else
		sigstack_set(&frame.stack, regs->rsp);
	return (long)regs->rax;
}
