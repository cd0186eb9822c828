/*
 * What standard.c and update.c have in common: between open and close, under fpregs_lock, a task's fpstate is the
 * kernel's to write. No section may begin and no other task run here meanwhile, so that no load meets a half-written
 * fpstate. The task is the running one, or a stopped one that is on no CPU and stays so.
 */
#ifndef FPU_DOOR_H
#define FPU_DOOR_H

#include "fpu/policy.h"
#include "fpu/verbs.h"
#include "kernel/insn.h"

static inline bool fpu_is_running(const struct fpu_task *task)
{
	return task == fpu_current();
}

/* To INACTIVE, on every CPU. Returns the state it was in on this one. */
static inline enum fpu_state fpu_door_open(struct fpu_task *task, enum fpu_event event)
{
	struct fpu_cpu *cpu = fpu_this_cpu();
	u64 flags = irq_save();
	enum fpu_state was = fpregs_state(cpu, task);

	if (was == FPU_ACTIVE)
		fpregs_move_to_memory(cpu, task, event);
	else
		fpregs_move_cached_to_memory(cpu, task, event);
	irq_restore(flags);
	return was;
}

/* New values are in memory. What a policy does at switch-in is due again, or waits for a stopped task's own. */
static inline void fpu_door_close(struct fpu_task *task)
{
	u64 flags = irq_save();

	if (fpu_is_running(task))
		fpu_policy_again(fpu_this_cpu(), task);
	irq_restore(flags);
}

#endif
