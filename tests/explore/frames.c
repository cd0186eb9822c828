/*
 * See frames.h. A task has one frame at a time. Reading the magic word behind it does not fault here: the frame would
 * count as one without extended components, which is tests/host/frame.c's to show.
 */
#include <string.h>

#include "fpu/image.h"
#include "kernel/uaccess.h"
#include "tests/explore/doors.h"
#include "tests/explore/frames.h"
#include "tests/explore/points.h"

#define POISON 0xa5

struct frames frames[USERS_MAX];

static struct frames *mine(void)
{
	return &frames[this_cpu()->current];
}

u64 frame_begin(void)
{
	struct frames *f = mine();

	if (f->in_user)
		fail("a second frame");
	f->in_user = true;
	memset(f->user, POISON, sizeof(f->user));
	return (u64)f->user;
}

/* Without tiles it is shorter: the second magic word comes where they would be. */
struct door frame_decode(void)
{
	struct door door = door_decode(mine()->user);

	if (fpu_config.dynamic && me()->fpu.user.xfd) {
		if (mine()->user[TILES_OFFSET + sizeof(u32)] != POISON)
			fail("I-SIZE: a frame without tiles is as long as one with them");
		door.values.of[TILES] = 0;
	}
	return door;
}

void frame_end(void)
{
	struct frames *f = mine();

	if (f->in_kernel)
		fail("the kernel's part of a frame was not freed");
	memset(f, 0, sizeof(*f));
}

struct xsave_area *frame_alloc(u32 size)
{
	struct frames *f = mine();

	if (f->in_kernel || size > sizeof(f->kernel))
		fail("two parts of frames, or one that is too large");
	f->in_kernel = true;
	memset(f->kernel, POISON, sizeof(f->kernel));
	return (struct xsave_area *)f->kernel;
}

bool frame_free(const struct xsave_area *area)
{
	for (u32 i = 0; i < USERS_MAX; i++)
		if ((const u8 *)area == frames[i].kernel) {
			frames[i].in_kernel = false;
			memset(frames[i].kernel, 0, sizeof(frames[i].kernel));
			return true;
		}
	return false;
}

long copy_from_user(void *dst, u64 src, size_t n)
{
	if (n != sizeof(u32) && explore_access())
		return -EFAULT;
	memcpy(dst, (const void *)src, n);
	return 0;
}

long copy_to_user(u64 dst, const void *src, size_t n)
{
	if (explore_access())
		return -EFAULT;
	memcpy((void *)dst, src, n);
	return 0;
}
