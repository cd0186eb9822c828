/*
 * Using vector registers in the kernel. Code that does so sits in files of its own (kernel/crypto) and is
 * called only between kernel_fpu_begin and kernel_fpu_end; sections do not nest.
 */
#ifndef FPU_KERNEL_H
#define FPU_KERNEL_H

#include "fpu/cpu.h"
#include "fpu/policy.h"

/*
 * Preemption off; the registers are the kernel's, with FCW 037Fh and MXCSR 1F80h, which the section leaves as
 * they are. The first time after user code ran this saves the task's registers; as long as nothing else has
 * used them since, the next time is a test and a counter (seed 000). In an interrupt only if irq_fpu_usable().
 */
void kernel_fpu_begin_first(struct fpu_cpu *cpu);
void kernel_fpu_nested(void);
void kernel_fpu_end_policy(struct fpu_cpu *cpu);

static inline void kernel_fpu_begin(void)
{
	struct fpu_cpu *cpu;

	preempt_disable();
	cpu = fpu_this_cpu();
	if (unlikely(cpu->in_kernel))
		kernel_fpu_nested();
	cpu->in_kernel = true;
	FPU_POINT();
	if (likely(cpu->owner == fpu_kernel_owner && !cpu->ts))
		cpu->counters.sections_again++;
	else
		kernel_fpu_begin_first(cpu);
}

/* Nothing is restored (policy permitting): that waits until somebody needs it. */
static inline void kernel_fpu_end(void)
{
	struct fpu_cpu *cpu = fpu_this_cpu();

	if (unlikely(fpu_policy.kernel_end))
		kernel_fpu_end_policy(cpu);
	FPU_POINT();
	cpu->in_kernel = false;
	preempt_enable();
}

/*
 * True if kernel_fpu_begin is allowed here: not inside another section, not in an interrupt that found
 * fpregs_lock held, not before the CPU's registers are set up. "Nobody in the kernel uses it" is not enough
 * (museum entry 8).
 */
static inline bool irq_fpu_usable(void)
{
	const struct fpu_cpu *cpu = fpu_this_cpu();

	return cpu->online && !cpu->in_kernel && !cpu->locked;
}

#endif
