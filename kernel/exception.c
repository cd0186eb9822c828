/*
 * Exceptions that user code caused, but for page faults (fault.c): the signal that Linux would send, with its code and
 * address. If nobody handles that, the process ends, and the log says why.
 */
#include "fpu/fpu.h"
#include "fpu/frame.h"
#include "fpu/image.h"
#include "kernel/exception.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/tiles.h"
#include "kernel/traps.h"
#include "kernel/xcomp.h"
#include "sched/signal.h"
#include "sched/task.h"

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

static void send_fault(u64 vector, const struct regs *regs)
{
	struct task *task = current;
	struct meaning meaning = meaning_of(vector);
	struct siginfo info = {
		.signo = meaning.signal, .code = meaning.code, .address = meaning.has_address ? regs->rip : 0,
	};

	task->signals.trap.vector = vector;
	task->signals.trap.error = regs->orig_rax == ~0ul ? 0 : regs->orig_rax;
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
		vector = tiles_emulate(regs);
	if (vector == TILES_DONE)
		return;
	xfd = vector == EXC_NO_FPU ? fpu_take_xfd_err(&this_cpu->self->fpu) : 0;
	if (vector == EXC_NO_FPU && !xfd && fpu_device_not_available(&current->fpu))
		return;
	irq_enable();
	if (xfd)
		xcomp_first_use(xfd, regs);
	else
		send_fault(vector, regs);
	irq_disable();
}
