/* Tile instructions of user programs; see tiles.c. */
#ifndef KERNEL_TILES_H
#define KERNEL_TILES_H

#include "fpu/amx.h"
#include "kernel/cpu.h"

/* Executes it: GOES_ON, the exception that it raises, or EMULATED if there is one already (kernel/emulate.h). */
u64 tile_execute(struct regs *regs, const struct amx_insn *insn);

#endif
