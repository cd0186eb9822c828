/* Integer-only tasks: no fpstate, never ACTIVE; see intonly.c. */
#ifndef FPU_INTONLY_H
#define FPU_INTONLY_H

#include "fpu/context.h"

/* Reads intonly=init|ts. */
void fpu_intonly_init(void);

/* True with intonly=ts: what lies in the registers stays there behind CR0.TS. */
bool fpu_intonly_keeps(void);

/*
 * The way to user mode of an integer-only task. Interrupts off. Its flag is clear then, so that it comes here only
 * once as long as nothing touches the registers.
 */
void fpu_intonly_exit(struct fpu_cpu *cpu, struct fpu_task *task);

/* An integer-only task leaves the CPU, or its CPU's registers or CR0.TS are about to change. Nothing for others. */
void fpu_intonly_disturb(struct fpu_task *task);

#endif
