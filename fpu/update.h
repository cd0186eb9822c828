/*
 * Changing one component of a task's state, for PKRU, PASID and their like (seed 003): begin hands out the present
 * value, wherever it was; the caller changes what it likes; finish makes it the task's. PKRU, and PASID while it is in
 * the registers, have instructions of their own. Everything else is changed in memory, and where the registers held
 * the rest of the context all the while, finish may leave everything to the way back to user mode (update=flag), or
 * load that one component now (update=load). All of it is counted.
 */
#ifndef FPU_UPDATE_H
#define FPU_UPDATE_H

#include "fpu/context.h"

struct fpu_update {
	struct fpu_task *task;
	u32 feature;
	bool direct; /* by the component's own instruction: value is it */
	enum fpu_state was; /* the state that the context was in */
	enum fpu_found found;
	u64 value;
};

/* Reads update=flag|load. */
void fpu_update_init(void);

/*
 * The running task, or a stopped one that is on no CPU and stays so. Not x87 and SSE, which don't lie in one piece.
 * NULL, and nothing to finish: the task has no such component. Else preemption is off until fpu_update_finish. What is
 * written there must be loadable.
 */
void *fpu_update_begin(struct fpu_update *update, struct fpu_task *task, u32 feature);
void fpu_update_finish(struct fpu_update *update);

/* The running task's rights for one protection key: 0 all, 1 none, 2 read only. There must be keys. */
void fpu_set_pkey_rights(u32 key, u32 rights);

#endif
