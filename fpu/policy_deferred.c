/*
 * Deferred, the default: nothing is loaded until the task returns to user mode, and not even then if the
 * registers still hold its values.
 */
#include "fpu/image.h"
#include "fpu/policy.h"
#include "fpu/verbs.h"

static bool exit_to_user(struct fpu_cpu *cpu, struct fpu_task *task)
{
	fpu_clear_ts(cpu); /* an integer-only task may have run before */
	return fpregs_move_to_cpu(cpu, task, FPU_EV_EXIT_TO_USER);
}

const struct fpu_policy fpu_deferred = {
	.name = "deferred",
	.exit_to_user = exit_to_user,
};
