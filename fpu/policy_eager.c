/*
 * Eager: loaded at switch-in and again at the end of each kernel section, needed or not. What seed 000 complains
 * of; here so that the difference can be counted.
 */
#include "fpu/policy.h"
#include "fpu/verbs.h"

static bool switch_in(struct fpu_cpu *cpu, struct fpu_task *task)
{
	return fpregs_copy_to_cpu(cpu, task, FPU_EV_SWITCH_IN);
}

/* A bad image stays bad: the way to user mode reports it. */
static void kernel_end(struct fpu_cpu *cpu, struct fpu_task *task)
{
	fpregs_copy_to_cpu(cpu, task, FPU_EV_KERNEL_END);
}

const struct fpu_policy fpu_eager = {
	.name = "eager",
	.switch_in = switch_in,
	.kernel_end = kernel_end,
};
