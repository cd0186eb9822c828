/*
 * Exceptions that user code caused, but for page faults (fault.c): the signal that Linux would send, with its code and
 * address. If nobody handles that, the process ends, and the log says why.
 */
#include "fpu/fpu.h"
#include "fpu/frame.h"
#include "fpu/image.h"
#include "kernel/emulate.h"
#include "kernel/exception.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/ptrace.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "kernel/vcpu.h"
#include "kernel/wq.h"
#include "kernel/xcomp.h"
#include "sched/signal.h"
#include "sched/task.h"

#define ERROR_IDT 2u /* bit of an error code: its selector is a vector */
#define INT_N 0xcd

struct meaning {
	int signal, code;
	bool has_address;
};

static struct meaning meaning_of(u64 vector)
{
	switch (vector) {
	case EXC_DIVIDE:
		return (struct meaning){ SIGFPE, FPE_INTDIV, true };
	case EXC_X87:
	case EXC_SIMD:
		return (struct meaning){ SIGFPE, fpu_frame_fault_code(&current->fpu, vector == EXC_SIMD), true };
	case EXC_DEBUG:
		return (struct meaning){ SIGTRAP, TRAP_TRACE, true };
	case EXC_BREAKPOINT:
		return (struct meaning){ SIGTRAP, SI_KERNEL, false };
	case EXC_UNDEFINED:
		return (struct meaning){ SIGILL, ILL_ILLOPN, true };
	case EXC_SEGMENT:
	case EXC_STACK:
		return (struct meaning){ SIGBUS, SI_KERNEL, false };
	case EXC_ALIGNMENT:
		return (struct meaning){ SIGBUS, BUS_ADRALN, false };
	default:
		return (struct meaning){ SIGSEGV, SI_KERNEL, false };
	}
}

static bool is_prefix(u8 byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 || byte == 0x64 || byte == 0x65 ||
	       (byte & 0xe7) == 0x26 || (byte & 0xf0) == 0x40;
}

/*
 * The error code as the manual has it (volume 3, 6.13): that of an INT n which user mode may not use is 8 * n + 2, but
 * QEMU 7.2 pushes 16 * n + 2.
 */
static u64 error_code(u64 vector, const struct regs *regs)
{
	u8 code[15];
	size_t n, at = 0;

	if (regs->orig_rax == ~0ul)
		return 0;
	if (vector != EXC_PROTECTION || !(regs->orig_rax & ERROR_IDT))
		return regs->orig_rax;
	n = sizeof(code) - copy_from_user_partial(code, regs->rip, sizeof(code));
	while (at < n && is_prefix(code[at]))
		at++;
	return at + 1 < n && code[at] == INT_N ? code[at + 1] * 8u + ERROR_IDT : regs->orig_rax;
}

static void send_fault(u64 vector, struct regs *regs)
{
	struct task *task = current;
	struct meaning meaning = meaning_of(vector);
	struct siginfo info = {
		.signo = meaning.signal, .code = meaning.code, .address = meaning.has_address ? regs->rip : 0,
	};

	task->signals.trap.vector = vector;
	task->signals.trap.error = error_code(vector, regs);
	if (vector != EXC_DEBUG && vector != EXC_BREAKPOINT && vector != EXC_OVERFLOW)
		regs->rflags |= RFLAGS_RF; /* as the manual says that a fault pushes them; QEMU does not */
	if (!signal_fault(&info))
		return;
	if (vector == EXC_NO_FPU && !fpu_has_registers(&task->fpu))
		klog("kill: %s[%d]: a vector instruction in an integer-only program", task->name, task->tid);
	klog("kill: %s[%d]: %s, error %lx, rip %lx, rsp %lx", task->name, task->tid, exception_name(vector),
	     regs->orig_rax, regs->rip, regs->rsp);
}

/* IA32_XFD_ERR is read before interrupts are on: another task's #NM would overwrite it. */
void user_exception(u64 vector, struct regs *regs)
{
	u64 xfd;

	if (vector == EXC_UNDEFINED)
		vector = emulate(regs);
	if (vector == EMULATED)
		return;
	xfd = vector == EXC_NO_FPU ? fpu_take_xfd_err(&this_cpu->self->fpu) : 0;
	if (vector == EXC_NO_FPU && !xfd && fpu_device_not_available(&current->fpu))
		return;
	if (vector == EXC_DEBUG && !in_guest() && ptrace_stray_step(regs))
		return;
	irq_enable();
	if (unlikely(in_guest()))
		vcpu_fault(vector, error_code(vector, regs), 0, xfd);
	else if (xfd)
		xcomp_first_use(xfd, regs);
	else if (vector != EXC_PROTECTION || !pasid_populate())
		send_fault(vector, regs);
	irq_disable();
}
