/*
 * In the place of the kernel's fpu/cpu.h: the explored CPUs and their numbered points. A point is any place at which
 * the explorer may let something come: another CPU always, an interrupt or a switch if this CPU would take it there.
 */
#ifndef FPU_CPU_H
#define FPU_CPU_H

#include "fpu/context.h"

#define TASK_NEED_FPU_LOAD BIT(1)

void explore_point(u32 number);

/* The CPU that executes, and its task; a kernel thread has active == NULL. */
struct fpu_cpu *fpu_this_cpu(void);
struct fpu_task *fpu_current(void);

void preempt_disable(void);
void preempt_enable(void);

#define FPU_POINT() explore_point(__LINE__ << 8 | sizeof(__FILE__))

#endif
