/*
 * When to load. All policies save at switch-out; they differ in these hooks, one file each. Called with interrupts
 * off for a task that has vector registers. A hook that is NULL does nothing, except on the way to user mode: there
 * it is a load, unless the registers are valid already.
 */
#ifndef FPU_POLICY_H
#define FPU_POLICY_H

#include "fpu/context.h"

struct fpu_policy {
	const char *name;
	const char *warning; /* said at boot, or NULL */
	bool defers;	     /* see struct fpu_config */
	bool (*switch_in)(struct fpu_cpu *cpu, struct fpu_task *task);
	bool (*exit_to_user)(struct fpu_cpu *cpu, struct fpu_task *task);
	void (*kernel_end)(struct fpu_cpu *cpu, struct fpu_task *task);
	bool (*device_not_available)(struct fpu_cpu *cpu, struct fpu_task *task);
};

extern const struct fpu_policy fpu_deferred, fpu_eager, fpu_lazy;
/* The chosen one, by value: its hooks are tested on hot paths. */
extern struct fpu_policy fpu_policy;

/* The running task's context is INACTIVE, with new values in memory. Interrupts off. */
static inline void fpu_policy_again(struct fpu_cpu *cpu, struct fpu_task *task)
{
	if (fpu_policy.switch_in)
		fpu_policy.switch_in(cpu, task);
}

#endif
