/*
 * The way from fpu/ to what belongs to the running CPU. Host tests put a cpu.h of their own in its place, and
 * with it as many CPUs as they like.
 */
#ifndef FPU_CPU_H
#define FPU_CPU_H

#include "fpu/context.h"
#include "kernel/cpu.h"

/* Good until the next point at which the task may be preempted. */
static inline struct fpu_cpu *fpu_this_cpu(void)
{
	return &this_cpu->self->fpu;
}

/* The running task's part that fpu/ may touch. */
static inline struct fpu_task *fpu_current(void)
{
	return (struct fpu_task *)current;
}

/*
 * A place where the explorer lets an interrupt come, if interrupts are on there. Nothing in the kernel, where
 * interrupts come everywhere.
 */
#define FPU_POINT() ((void)0)

#endif
