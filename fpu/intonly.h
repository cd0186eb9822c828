/* Integer-only tasks: no fpstate, never ACTIVE; see intonly.c. */
#ifndef FPU_INTONLY_H
#define FPU_INTONLY_H

#include "fpu/context.h"

/* Reads intonly=init|ts. */
void fpu_intonly_init(void);

/* True with intonly=ts: what lies in the registers stays there behind CR0.TS. */
bool fpu_intonly_keeps(void);

/* The way to user mode of an integer-only task. Interrupts off. */
void fpu_intonly_exit(struct fpu_cpu *cpu);

#endif
