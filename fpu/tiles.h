/*
 * Tiles and the running task: its first use of them, and the model's registers for the instructions that the kernel
 * executes. Called with interrupts on.
 */
#ifndef FPU_TILES_H
#define FPU_TILES_H

#include "fpu/soft.h"

/* True if tile instructions raise #UD and are executed by kernel/emulate.c. */
bool fpu_tiles_modelled(void);

/*
 * The model's registers with the running task's values, ACTIVE, preemption off until fpu_tiles_put: short, and nothing
 * that sleeps. NULL, and nothing to put: its values could not be loaded, or it has no registers.
 */
struct soft_cpu *fpu_tiles_get(void);
void fpu_tiles_put(void);

/*
 * The running task, which has registers, has used components that XFD disables, and it may: it gets an fpstate with
 * room for them, and XFD lets it try again. False: memory is out.
 */
bool fpu_first_use(struct fpu_task *task, u64 components);

/*
 * The running task will not go to user mode again, and nobody finds it any more: if it has a large fpstate, its context
 * ends here, where one may wait for other CPUs, and not at its last switch.
 */
void fpu_tiles_exit(struct fpu_task *task);

#endif
