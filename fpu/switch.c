/*
 * The paths that the scheduler and the way to user mode take. Each is a few lines of verbs; what they may skip
 * is the machine's whole gain. PKRU is not part of it: kernel code touches user memory before any return to user
 * mode, so the keys change hands at once, by RDPKRU and WRPKRU (seed 002).
 */
#include "fpu/fpu.h"
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/intonly.h"
#include "fpu/policy.h"
#include "fpu/verbs.h"

const struct fpu_policy *fpu_policy = &fpu_deferred;

void fpu_switch_out(struct fpu_task *prev)
{
	if (!prev->active)
		return;
	if (fpu_config.pku)
		prev->active->pkru = rdpkru();
	if (prev->active->fpstate)
		fpregs_copy_to_memory(fpu_this_cpu(), prev, FPU_EV_SWITCH_OUT);
}

/* The load flag needs no care: it was set at switch-out, or at birth. */
void fpu_switch_in(struct fpu_task *next)
{
	if (!next->active)
		return;
	if (fpu_config.pku)
		wrpkru(next->active->pkru);
	if (fpu_policy->switch_in && next->active->fpstate)
		fpu_policy->switch_in(fpu_this_cpu(), next);
}

bool fpu_exit_to_user(struct fpu_task *task)
{
	struct fpu_cpu *cpu = fpu_this_cpu();

	if (!task->active->fpstate) {
		fpu_intonly_exit(cpu);
		return true;
	}
	return fpu_policy->exit_to_user(cpu, task);
}

bool fpu_device_not_available(struct fpu_task *task)
{
	struct fpu_cpu *cpu = fpu_this_cpu();

	if (!fpu_has_registers(task) || !fpu_policy->device_not_available)
		return false;
	fpu_clear_ts(cpu);
	return fpu_policy->device_not_available(cpu, task);
}

/* While the task runs, its PKRU is in the register and nowhere else. */
void fpu_set_pkey_rights(u32 key, u32 rights)
{
	wrpkru((rdpkru() & ~(3u << 2 * key)) | rights << 2 * key);
}
