/* ENQCMD of user programs; see enqcmd.c. */
#ifndef KERNEL_ENQCMD_H
#define KERNEL_ENQCMD_H

#include "kernel/cpu.h"
#include "kernel/decode.h"

/*
 * Executes it with that IA32_PASID: GOES_ON and regs->rflags, the exception that it raises, or EMULATED if there is
 * one already (kernel/emulate.h). Preemptible, interrupts on.
 */
u64 enqcmd_execute(struct regs *regs, const struct enqcmd_insn *insn, u64 pasid);

#endif
