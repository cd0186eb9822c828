/* In the place of the kernel's: the interrupt flag of the explored CPU, with a point on either side. */
#ifndef KERNEL_INSN_H
#define KERNEL_INSN_H

#include "kernel/types.h"

/* For fpu/xstate.c, which is linked for its initial image alone. */
struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

u64 irq_save(void);
void irq_restore(u64 flags);

static inline u64 rdtsc(void)
{
	return 0;
}

#endif
