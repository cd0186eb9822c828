/* The memory images of the explorer, and the allocator that hands them out. */
#ifndef EXPLORE_IMAGES_H
#define EXPLORE_IMAGES_H

#include "fpu/xstate.h"
#include "tests/explore/world.h"

#define IMAGES (2 * USERS_MAX + 1) /* a context's each, as many to spare, and the initial one */

/* What an image holds: taken apart for comparison, and for going back to an earlier state. */
struct image {
	struct values stored; /* as they lie in memory */
	u8 xstate_bv;
	bool used, written, damaged;
	bool room, tiles; /* large enough for tile data; XCOMP_BV says so */
};

/* An image's state, and back. */
struct image image_state(u32 index);
void image_set_state(u32 index, const struct image *state);

/* The state of an fpstate, and back; and the values that a load of it would give. */
struct image image_of(const struct xsave_area *area);
void image_overwrite(const struct xsave_area *area, const struct image *image);
struct values image_values(const struct image *image);

/* How a component lies in memory, and what a number read there means. */
u16 image_encode(u8 value, u16 initial);
u8 image_decode(u64 stored, u64 initial);

/* Makes an fpstate one that XRSTORS refuses. */
void image_damage(struct xsave_area *area);

/* Where tile data lie in an image that has room for them. */
u8 *image_tiles(struct xsave_area *area);

/* All of them free, but for the initial one. How many there are, and how many are in use. */
void images_start(void);
u32 images_count(void);
u32 images_used(void);

#endif
