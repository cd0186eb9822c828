/* Tile instructions of user programs, executed in software; see tiles.c. */
#ifndef KERNEL_TILES_H
#define KERNEL_TILES_H

#include "kernel/cpu.h"

#define TILES_DONE 0x100 /* no vector */

/*
 * #UD in user mode, interrupts off. The exception that the program is to get instead, or TILES_DONE: go on where regs
 * say. EXC_UNDEFINED: it was no tile instruction, or a wrong one. EXC_NO_FPU: IA32_XFD_ERR of this CPU says why.
 */
u64 tiles_emulate(struct regs *regs);

#endif
