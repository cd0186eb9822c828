/*
 * Changing one component of a task's state, for PKRU, PASID and their like (seed 003): begin hands out the present
 * value, wherever it was; the caller changes what it likes; finish makes it the task's. Where the registers held the
 * rest of the context all the while, finish may leave everything to the way back to user mode (update=flag), or load
 * that one component now (update=load): both are counted.
 */
#ifndef FPU_UPDATE_H
#define FPU_UPDATE_H

#include "fpu/context.h"

struct fpu_update {
	struct fpu_task *task;
	u32 feature, pkru;
	enum fpu_state was; /* the state that the context was in */
};

/* Reads update=flag|load. */
void fpu_update_init(void);

/*
 * The running task, or a stopped one that is on no CPU and stays so. Not x87 and SSE, which don't lie in one piece.
 * NULL, and nothing to finish: the task has no such component. Else preemption is off until fpu_update_finish.
 */
void *fpu_update_begin(struct fpu_update *update, struct fpu_task *task, u32 feature);
void fpu_update_finish(struct fpu_update *update);

#endif
