/*
 * The scheduler's two calls, inline for they are on every switch. PKRU is not left to the machine: kernel code
 * touches user memory before any return to user mode, so the keys change hands at once, by RDPKRU and WRPKRU
 * (seed 002). So does XFD, which must be the task's before its registers are saved or loaded (museum entry 35).
 * Interrupts off, prev and next different; kernel threads pass through.
 */
#ifndef FPU_SWITCH_H
#define FPU_SWITCH_H

#include "fpu/cpu.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/intonly.h"
#include "fpu/policy.h"
#include "fpu/verbs.h"

static inline void fpu_switch_out(struct fpu_task *prev)
{
	struct fpu_context *context = prev->active;

	if (!context)
		return;
	if (likely(context->fpstate))
		fpregs_copy_to_memory(fpu_this_cpu(), prev, FPU_EV_SWITCH_OUT);
	else
		fpu_intonly_disturb(prev);
	if (fpu_config.pku)
		context->pkru = rdpkru();
}

/* The load flag needs no care: it was set at switch-out, or at birth. */
static inline void fpu_switch_in(struct fpu_task *next)
{
	struct fpu_context *context = next->active;

	if (!context)
		return;
	if (fpu_config.pku)
		wrpkru(context->pkru);
	fpu_set_xfd(fpu_this_cpu(), context->xfd);
	if (fpu_policy.switch_in && context->fpstate)
		fpu_policy.switch_in(fpu_this_cpu(), next);
}

#endif
