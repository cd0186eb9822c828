/*
 * A kernel FPU section whose result shows the environment that it ran in: a tenth is inexact, so it is rounded
 * as MXCSR or FCW says, and it traps if they say so. Kernel code proper computes with integers only and would
 * not notice a user's control words (museum entry 9). Only the debug call may come here.
 */
#include "fpu/environment.h"
#include "fpu/kernel.h"

static const double one = 1.0, ten = 10.0;

u64 fpu_tenth_sse(void)
{
	u64 bits;

	kernel_fpu_begin();
	asm volatile("movsd %1, %%xmm0\n\tdivsd %2, %%xmm0\n\tmovq %%xmm0, %0" : "=r"(bits) : "m"(one), "m"(ten));
	kernel_fpu_end();
	return bits;
}

/* The x87 registers are left empty, as the section found them. */
u64 fpu_tenth_x87(void)
{
	u64 bits;

	kernel_fpu_begin();
	asm volatile("fldl %1\n\tfdivl %2\n\tfstpl %0" : "=m"(bits) : "m"(one), "m"(ten));
	kernel_fpu_end();
	return bits;
}
