/*
 * The symbolic register file and the memory images of the explorer. A value is 0 (the component's initial
 * value), a small number (what a user wrote; each write takes a number that nobody holds), or GARBAGE (what a
 * kernel section left). x87 stands for FCW, MXCSR for itself, XMM0 for all vector registers, CET_U for the
 * components that CR0.TS does not gate.
 */
#ifndef EXPLORE_REGISTERS_H
#define EXPLORE_REGISTERS_H

#include "fpu/context.h"
#include "fpu/image.h"

#define GARBAGE 0xee
#define IMAGES 5 /* three contexts', the initial one's, and one to spare */

enum component { X87, MXCSR, VECTOR, UNGATED, COMPONENTS };

struct values {
	u8 of[COMPONENTS];
};

struct registers {
	struct values values;
	u32 pkru;
	bool ts;
};
extern struct registers registers;

/* What explored images hold: an image is taken apart for comparison and for going back to an earlier state. */
struct image {
	struct values stored; /* as they lie in memory */
	u8 xstate_bv;
	bool used, written, damaged;
};

/* An image's state, and back. */
struct image image_state(u32 index);
void image_set_state(u32 index, const struct image *state);

/* The state of an fpstate, and the values that a load of it would give. */
struct image image_of(const struct xsave_area *area);
struct values image_values(const struct image *image);

/* Makes an fpstate one that XRSTORS refuses. */
void image_damage(struct xsave_area *area);

/* Sets up fpu_config and the initial image, once for each configuration. */
void registers_start(bool ungated);

#endif
