/*
 * What the rest of the kernel may ask of fpu/. The order of a task's life: fpu_create, then for each stay on a CPU
 * fpu_switch_in (switch.h), any number of fpu_exit_to_user, fpu_switch_out; fpu_exec and fpu_fork in between;
 * fpu_death and fpu_free at the end.
 */
#ifndef FPU_FPU_H
#define FPU_FPU_H

#include "fpu/context.h"

/* Boot processor, once, before any task: components, mechanism, policy from the command line. Panics if it can't. */
void fpu_init(void);

/*
 * Each further processor, on itself, interrupts off. False: its registers differ from the boot processor's, or
 * memory is out; it must not run tasks.
 */
bool fpu_init_cpu(struct fpu_cpu *cpu);

/*
 * A CPU whose registers have been reset and enabled: they are nobody's, and may be used. A CPU that is to be reset:
 * no kernel section may begin on it any more. Interrupts off, on that CPU.
 */
void fpu_cpu_up(struct fpu_cpu *cpu);
void fpu_cpu_down(struct fpu_cpu *cpu);

/*
 * A CPU that is about to sleep, its idle task running, interrupts off: tiles become initial, for they keep it from
 * deep sleep. Whoever had values in its registers has them in memory alone then (museum entry 36).
 */
void fpu_idle(struct fpu_cpu *cpu);

/* The user context of a task that is being made, INACTIVE and initial. False when memory is out. */
bool fpu_create(struct fpu_task *task, bool integer_only);
void fpu_free(struct fpu_task *task);

/*
 * The way to user mode, interrupts off, with TASK_NEED_FPU_LOAD set. False: the task's values could not be
 * loaded; it must be killed.
 */
bool fpu_exit_to_user(struct fpu_task *task);

/* #NM from user mode, interrupts off. False: the task must be killed. */
bool fpu_device_not_available(struct fpu_task *task);

/* The child's values become the running task's. Preemptible. */
void fpu_fork(struct fpu_task *child);

/*
 * The running task starts a new program: initial values, default PKRU. integer_only: its program says so. What it
 * needs in addition comes first, while the old program can still be told that memory is out (false); it goes to
 * fpu_exec, or back to fpu_exec_finish. So does what fpu_exec returns, an fpstate that is not needed any more: once
 * nobody looks at it who found it with the task, and where one may wait for other CPUs.
 */
bool fpu_exec_prepare(const struct fpu_task *task, bool integer_only, struct xsave_area **spare);
struct xsave_area *fpu_exec(struct fpu_task *task, bool integer_only, struct xsave_area *spare);
void fpu_exec_finish(struct xsave_area *unused);

/* The running task is about to leave its CPU for ever. Interrupts off. */
void fpu_death(struct fpu_task *task);

/* Preemption off, and irq_fpu_usable false in interrupts that come meanwhile. Nests. */
void fpregs_lock(void);
void fpregs_unlock(void);

#endif
