/*
 * Deferred, the default: nothing is loaded until the task returns to user mode, and not even then if the
 * registers still hold its values. That is what fpu/switch.c does where no hook says otherwise.
 */
#include "fpu/policy.h"

const struct fpu_policy fpu_deferred = {
	.name = "deferred",
	.defers = true,
};
