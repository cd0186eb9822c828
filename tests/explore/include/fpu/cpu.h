/*
 * In the place of the kernel's fpu/cpu.h: the one CPU of the explorer, whose preemption count and numbered
 * points it watches. A point is any place with interrupts on at which the explorer may let one come.
 */
#ifndef FPU_CPU_H
#define FPU_CPU_H

#include "fpu/context.h"

#define TASK_NEED_FPU_LOAD BIT(1)

extern struct fpu_cpu explored_cpu;

/* A numbered point; does nothing while interrupts are off. */
void explore_point(u32 number);

/* The running task; a kernel thread has active == NULL. */
struct fpu_task *fpu_current(void);

void preempt_disable(void);
void preempt_enable(void);

static inline struct fpu_cpu *fpu_this_cpu(void)
{
	return &explored_cpu;
}

#define FPU_POINT() explore_point(__LINE__)

#endif
