/* Signal frames: the user's memory that they lie in, and the kernel's while it makes or reads one. */
#ifndef EXPLORE_FRAMES_H
#define EXPLORE_FRAMES_H

#include "tests/explore/world.h"

#define FRAME_SIZE (TILES_OFFSET + XSAVE_ALIGN)

struct frames {
	u8 kernel[FRAME_SIZE], user[FRAME_SIZE];
	bool in_kernel, in_user;
} __attribute__((aligned(XSAVE_ALIGN)));
extern struct frames frames[USERS_MAX];

/* The running task's frame: where it is to be written, what is there then, and when nobody wants it any more. */
u64 frame_begin(void);
struct door frame_decode(void);
void frame_end(void);

/* The running task's part in the kernel. False: it is no such part. */
struct xsave_area *frame_alloc(u32 size);
bool frame_free(const struct xsave_area *area);

#endif
