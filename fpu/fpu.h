/*
 * The registers of x87, SSE, AVX and AVX-512, saved and restored at every switch between user tasks. The
 * rest of the kernel knows these calls and nothing of what is behind them.
 */
#ifndef FPU_FPU_H
#define FPU_FPU_H

#include "fpu/insn.h"
#include "kernel/types.h"

/* A task's registers while it does not run. area is NULL for kernel threads, which have none. */
struct fpu {
	void *area;
};

/* Turns the extended registers on; panics on a CPU without XSAVE. */
void fpu_init_cpu(void);

/* Gives the task registers in their initial state. False when memory is out. */
bool fpu_alloc(struct fpu *fpu);
void fpu_free(struct fpu *fpu);

/* The child's registers become those of the current task. */
void fpu_fork(struct fpu *child);

/* The current task's registers become initial: exec. */
void fpu_reset(struct fpu *fpu);

extern u32 fpu_xcr0;

/* Interrupts off. */
static inline void fpu_switch_out(struct fpu *fpu)
{
	xsave64(fpu->area, fpu_xcr0);
}

static inline void fpu_switch_in(struct fpu *fpu)
{
	asm volatile("xrstor64 (%0)" ::"r"(fpu->area), "a"(fpu_xcr0), "d"(0) : "memory");
}

#endif
