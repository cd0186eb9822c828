/* Kernel FPU sections: the slow first time, and the lock against them. See kernel.h. */
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/intonly.h"
#include "fpu/kernel.h"
#include "fpu/setup.h"
#include "fpu/verbs.h"
#include "kernel/insn.h"

/*
 * Saves what would be lost, then gives the kernel its known environment: a user's rounding mode or unmasked exception
 * must not reach kernel code (museum entry 9). Interrupts may be on: as in_kernel is set and preemption off, nothing
 * that comes may touch the registers or their state. FNINIT does not wait, so a pending x87 exception of the user's
 * does not fire here (entry 33). The registers are the kernel's only after all that.
 */
void kernel_fpu_begin_first(struct fpu_cpu *cpu)
{
	struct fpu_task *task = fpu_current();

	if (likely(fpu_has_registers(task)))
		fpregs_move_to_memory(cpu, task, FPU_EV_KERNEL_BEGIN);
	else
		fpu_intonly_disturb(task);
	fpu_clear_ts(cpu);
	fninit();
	ldmxcsr(MXCSR_INIT);
	fpregs_claim(cpu, fpu_kernel_owner);
	cpu->counters.sections++;
}

void kernel_fpu_end_policy(struct fpu_cpu *cpu)
{
	struct fpu_task *task = fpu_current();
	u64 flags = irq_save();

	if (fpu_has_registers(task))
		fpu_policy.kernel_end(cpu, task);
	irq_restore(flags);
}

void kernel_fpu_nested(void)
{
	fpu_broken("kernel_fpu_begin inside a kernel FPU section");
}

void fpregs_lock(void)
{
	preempt_disable();
	fpu_this_cpu()->locked++;
}

void fpregs_unlock(void)
{
	fpu_this_cpu()->locked--;
	preempt_enable();
}
