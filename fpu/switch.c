/* The way to user mode, and #NM. What these few lines may skip is the machine's whole gain. */
#include "fpu/intonly.h"
#include "fpu/switch.h"

struct fpu_policy fpu_policy;

bool fpu_exit_to_user(struct fpu_task *task)
{
	struct fpu_cpu *cpu = fpu_this_cpu();

	if (!task->active->fpstate) {
		fpu_intonly_exit(cpu, task);
		return true;
	}
	if (unlikely(fpu_policy.exit_to_user))
		return fpu_policy.exit_to_user(cpu, task);
	fpu_clear_ts(cpu); /* an integer-only task may have run before */
	return fpregs_move_to_cpu(cpu, task, FPU_EV_EXIT_TO_USER);
}

bool fpu_device_not_available(struct fpu_task *task)
{
	struct fpu_cpu *cpu = fpu_this_cpu();

	if (!fpu_has_registers(task) || !fpu_policy.device_not_available)
		return false;
	fpu_clear_ts(cpu);
	return fpu_policy.device_not_available(cpu, task);
}
