/*
 * Lazy: CR0.TS is set instead of loading, and the first vector instruction traps (#NM) and loads. The old
 * owner's values stay in the registers meanwhile. TS does not gate supervisor state and tiles: a context that has
 * any in use is loaded whole, at switch-in and on the way to user mode, and for the others they are put to init. A
 * task that runs without its registers can't leave that initial state behind the kernel's back: PASID is the
 * kernel's to write, tiles trap by XFD. QEMU's XSAVE and XRSTOR don't look at TS, so that there a program can read
 * the old owner's values with them; the counters don't change, for nothing is saved, loaded or trapped by that.
 */
#include "fpu/image.h"
#include "fpu/policy.h"
#include "fpu/verbs.h"

static bool switch_in(struct fpu_cpu *cpu, struct fpu_task *task)
{
	if (!fpu_config.ungated || fpregs_valid(cpu, task->active))
		return true;
	if (task->active->fpstate->xstate_bv & fpu_config.ungated)
		return fpregs_copy_to_cpu(cpu, task, FPU_EV_SWITCH_IN);
	if (fpu_ungated_in_use(cpu)) {
		fpregs_claim(cpu, NULL);
		fpu_image_load_init(cpu);
	}
	return true;
}

static bool exit_to_user(struct fpu_cpu *cpu, struct fpu_task *task)
{
	if (fpregs_valid(cpu, task->active) || task->active->fpstate->xstate_bv & fpu_config.ungated) {
		fpu_clear_ts(cpu);
		return fpregs_move_to_cpu(cpu, task, FPU_EV_EXIT_TO_USER);
	}
	fpu_set_ts(cpu);
	return true;
}

static bool device_not_available(struct fpu_cpu *cpu, struct fpu_task *task)
{
	cpu->counters.traps++;
	return fpregs_move_to_cpu(cpu, task, FPU_EV_DEVICE_NM);
}

const struct fpu_policy fpu_lazy = {
	.name = "lazy",
	.warning = "leaves one task's registers in the CPU while another runs; 2018's Intel cores let it read "
		   "them (CVE-2018-3665, LazyFP). For study only.",
	.defers = true,
	.switch_in = switch_in,
	.exit_to_user = exit_to_user,
	.device_not_available = device_not_available,
};
