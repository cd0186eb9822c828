/*
 * The symbolic register file. A value is 0 (the component's initial value), a small number (what a user wrote;
 * each write takes a number that nobody holds), or GARBAGE (what a kernel section left). x87 stands for FCW, MXCSR
 * for itself, XMM0 for all vector registers, CET_U for the components that CR0.TS does not gate, TILEDATA for those
 * that XFD disables as well. The components before UNGATED are the user's.
 */
#ifndef EXPLORE_REGISTERS_H
#define EXPLORE_REGISTERS_H

#include "fpu/context.h"

#define GARBAGE 0xee
#define NOBODYS 0xcc

/* In the standard format: so far behind the header that an image is longer than any fpstate. */
#define PKRU_OFFSET (XSAVE_EXTENDED + XSAVE_ALIGN)
#define TILES_OFFSET (PKRU_OFFSET + 8)

enum component { X87, MXCSR, VECTOR, TILES, UNGATED, COMPONENTS };

struct values {
	u8 of[COMPONENTS];
};

struct registers {
	struct values values;
	u32 pkru, xfd, xfd_err;
	bool ts;
};

/* Sets up fpu_config. */
void registers_start(bool ungated, bool tiles);

#endif
