/*
 * Eager: loaded at switch-in and again at the end of each kernel section, needed or not. What seed 000 complains
 * of; here so that the difference can be counted.
 */
#include "fpu/image.h"
#include "fpu/policy.h"
#include "fpu/verbs.h"

static bool switch_in(struct fpu_cpu *cpu, struct fpu_task *task)
{
	return fpregs_copy_to_cpu(cpu, task, FPU_EV_SWITCH_IN);
}

static bool exit_to_user(struct fpu_cpu *cpu, struct fpu_task *task)
{
	fpu_clear_ts(cpu); /* an integer-only task may have run before */
	return fpregs_move_to_cpu(cpu, task, FPU_EV_EXIT_TO_USER);
}

/* A bad image stays bad: the way to user mode reports it. */
static void kernel_end(struct fpu_cpu *cpu, struct fpu_task *task)
{
	fpregs_copy_to_cpu(cpu, task, FPU_EV_KERNEL_END);
}

const struct fpu_policy fpu_eager = {
	.name = "eager",
	.switch_in = switch_in,
	.exit_to_user = exit_to_user,
	.kernel_end = kernel_end,
};
