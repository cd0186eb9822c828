/*
 * The four verbs, after the straw man of 2016 (seed 002), and drop. Each takes the running task, acts on its
 * active context, and is called with interrupts off; event says for whom. A task without vector
 * registers must not come here.
 */
#ifndef FPU_VERBS_H
#define FPU_VERBS_H

#include "fpu/context.h"

/* INACTIVE to CACHED: registers valid too, nobody may write yet. False: bad image, see fpregs_move_to_cpu. */
#define fpregs_copy_to_cpu(cpu, task, event) fpregs_copy_to_cpu_at(cpu, task, event, FPU_SITE)
bool fpregs_copy_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site);

/*
 * To ACTIVE: user code may write the registers, memory is given up. Loads only if the registers are not valid
 * already. False if the fpstate could not be loaded: the registers and the fpstate are initial then, the
 * context is INACTIVE, and the task must not go on.
 */
#define fpregs_move_to_cpu(cpu, task, event) fpregs_move_to_cpu_at(cpu, task, event, FPU_SITE)
bool fpregs_move_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site);

/* Memory becomes valid; an ACTIVE context becomes CACHED, the others stay as they are. */
#define fpregs_copy_to_memory(cpu, task, event) fpregs_copy_to_memory_at(cpu, task, event, FPU_SITE)
void fpregs_copy_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site);

/* To INACTIVE, saved if it was ACTIVE: memory is valid and may be written. */
#define fpregs_move_to_memory(cpu, task, event) fpregs_move_to_memory_at(cpu, task, event, FPU_SITE)
void fpregs_move_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site);

/* Gives the values up unsaved; to is FPU_INACTIVE (the caller has put new ones in memory) or FPU_NONE. */
#define fpregs_drop(cpu, task, event, to) fpregs_drop_at(cpu, task, event, to, FPU_SITE)
void fpregs_drop_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, enum fpu_state to, const struct fpu_site *site);

/* The registers become something that is no context: they are about to be overwritten. */
void fpregs_claim(struct fpu_cpu *cpu, const void *owner);

/* A new context, INACTIVE, with an id of its own. */
void fpu_context_born(struct fpu_context *context);

#endif
