/* Instructions of user programs that the CPU lacks, executed in software; see emulate.c. */
#ifndef KERNEL_EMULATE_H
#define KERNEL_EMULATE_H

#include "kernel/cpu.h"
#include "kernel/decode.h"

#define EMULATED 0x100 /* no vector: go on where regs say */
#define GOES_ON 0 /* no exception so far; the divide error's vector is not needed here */

/*
 * #UD in user mode, interrupts off. The exception that the program is to get instead, or EMULATED. EXC_UNDEFINED: it
 * was no instruction that is modelled, or a wrong form. EXC_NO_FPU: IA32_XFD_ERR of this CPU says why.
 */
u64 emulate(struct regs *regs);

/* The rest is for those who execute them: preemptible, interrupts on. The register, as encodings number it. */
u64 operand_register(const struct regs *regs, u8 number);

/* The linear address of an offset in the operand's segment; of the operand itself. */
u64 operand_linear(const struct operand *operand, u64 offset);
u64 operand_address(const struct regs *regs, const struct operand *operand);

bool canonical_address(u64 address);

/* n bytes at the linear address, to or from data. GOES_ON, or the exception; a page fault is dealt with here. */
u64 operand_access(struct regs *regs, const struct operand *operand, u64 address, void *data, u32 n, bool write);

#endif
