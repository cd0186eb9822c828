/* See images.h. Only the bytes that carry symbolic values are looked at. */
#include <string.h>

#include "fpu/buffers.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "tests/explore/frames.h"
#include "tests/explore/images.h"
#include "tests/explore/points.h"
#include "tests/explore/trail.h"

#undef memcpy
#define AREA_SIZE (XSAVE_EXTENDED + XSAVE_ALIGN)
#define POISON 0xa5

static union {
	struct xsave_area area;
	u8 bytes[AREA_SIZE];
} areas[IMAGES];
static bool used[IMAGES], room[IMAGES];
static u32 count;

static u32 index_of(const struct xsave_area *area)
{
	return (u32)((const u8 *)area - areas[0].bytes) / AREA_SIZE;
}

u8 image_decode(u64 stored, u64 initial)
{
	return stored == initial ? 0 : (u8)stored;
}

u16 image_encode(u8 value, u16 initial)
{
	return value ? value : initial;
}

struct image image_state(u32 index)
{
	const struct xsave_area *area = &areas[index].area;
	struct image image = { .used = used[index] };

	image.room = room[index];
	image.tiles = area->xcomp_bv & XFM(XF_TILEDATA);
	image.written = areas[index].bytes[sizeof(*area) - 1] != POISON;
	image.xstate_bv = (u8)(area->xstate_bv & XFM_LEGACY) | (area->xstate_bv & XFM(XF_CET_U) ? 4 : 0) |
			  (area->xstate_bv & XFM(XF_TILEDATA) ? 8 : 0);
	image.damaged = area->header_reserved[0];
	image.stored.of[X87] = image_decode(area->fcw, FCW_INIT);
	image.stored.of[MXCSR] = image_decode(area->mxcsr, MXCSR_INIT);
	image.stored.of[VECTOR] = area->xmm[0][0];
	image.stored.of[UNGATED] = area->extended[0];
	if (image.room)
		image.stored.of[TILES] = *image_tiles(&areas[index].area);
	return image;
}

void image_set_state(u32 index, const struct image *image)
{
	struct xsave_area *area = &areas[index].area;
	struct image now = image_state(index);

	used[index] = now.used = image->used;
	room[index] = now.room = image->room;
	if (!memcmp(&now, image, sizeof(now)))
		return;
	memset(area, 0, AREA_SIZE);
	area->xcomp_bv = XCOMP_COMPACTED | (fpu_config.mask & ~fpu_config.dynamic);
	area->xcomp_bv |= image->tiles ? XFM(XF_TILEDATA) : 0;
	area->xstate_bv = (image->xstate_bv & XFM_LEGACY) | (image->xstate_bv & 4 ? XFM(XF_CET_U) : 0) |
			  (image->xstate_bv & 8 ? XFM(XF_TILEDATA) : 0);
	area->header_reserved[0] = image->damaged;
	area->fcw = image_encode(image->stored.of[X87], FCW_INIT);
	area->mxcsr = image_encode(image->stored.of[MXCSR], MXCSR_INIT);
	area->mxcsr_mask = MXCSR_MASK_DEFAULT;
	area->xmm[0][0] = image->stored.of[VECTOR];
	area->extended[0] = image->stored.of[UNGATED];
	if (!image->written)
		memset((u8 *)area + XSAVE_LEGACY_SIZE, POISON, AREA_SIZE - XSAVE_LEGACY_SIZE);
	if (image->room)
		*image_tiles(area) = image->stored.of[TILES];
	else
		memset((u8 *)area + fpu_config.size, POISON, AREA_SIZE - fpu_config.size);
}

struct image image_of(const struct xsave_area *area)
{
	return image_state(index_of(area));
}

void image_overwrite(const struct xsave_area *area, const struct image *image)
{
	image_set_state(index_of(area), image);
}

struct values image_values(const struct image *image)
{
	struct values v = { 0 };

	if (image->xstate_bv & 1)
		v.of[X87] = image->stored.of[X87];
	if (image->xstate_bv & 2) {
		v.of[MXCSR] = image->stored.of[MXCSR];
		v.of[VECTOR] = image->stored.of[VECTOR];
	}
	if (image->xstate_bv & 8)
		v.of[TILES] = image->stored.of[TILES];
	if (image->xstate_bv & 4)
		v.of[UNGATED] = image->stored.of[UNGATED];
	return v;
}

void image_damage(struct xsave_area *area)
{
	area->header_reserved[0] = 1;
}

/* The interrupt, or the other CPU, comes between the legacy region and the rest. */
void *explore_memcpy(void *dst, const void *src, size_t n)
{
	size_t half = MIN(n, (size_t)XSAVE_LEGACY_SIZE);

	memcpy(dst, src, half);
	explore_point(POINT_MEMCPY);
	memcpy((u8 *)dst + half, (const u8 *)src + half, n - half);
	return dst;
}

struct xsave_area *fpu_area_alloc(u32 size)
{
	if (me()->starved)
		return NULL;
	if (size > AREA_SIZE)
		return frame_alloc(size);
	for (u32 i = 0; i < count; i++) {
		if (used[i])
			continue;
		used[i] = true;
		room[i] = size > fpu_config.size;
		memset(&areas[i], POISON, AREA_SIZE);
		return &areas[i].area;
	}
	fail("a context has lost its fpstate: no image is left");
}

void fpu_area_free(struct xsave_area *area)
{
	if (!area || frame_free(area))
		return;
	if (!used[index_of(area)])
		fail("an fpstate is freed twice");
	if (!room[index_of(area)] && ((const u8 *)area)[fpu_config.size] != POISON)
		fail("something was written behind an fpstate");
	used[index_of(area)] = room[index_of(area)] = false;
	memset(area, POISON, AREA_SIZE);
}

struct fpu_buffers fpu_buffers;

struct xsave_area *fpu_buffer_alloc(void)
{
	return fpu_area_alloc(fpu_config.full_size);
}

void fpu_buffer_free(struct xsave_area *area)
{
	fpu_area_free(area);
}

u8 *image_tiles(struct xsave_area *area)
{
	return (u8 *)area + xstate_compact_offset(&fpu_config.layout, fpu_config.mask, XF_TILEDATA);
}

u32 images_count(void)
{
	return count;
}

u32 images_used(void)
{
	u32 n = 0;

	for (u32 i = 0; i < count; i++)
		n += used[i];
	return n;
}

void images_start(void)
{
	struct xsave_area *initial;

	count = world.config.users + 2u + (world.config.tiles ? world.config.users - 1u : 0);
	memset(used, 0, sizeof(used));
	memset(room, 0, sizeof(room));
	memset(areas, POISON, sizeof(areas));
	initial = fpu_area_alloc(fpu_config.size);
	fpu_image_reset(initial, fpu_config.mask & ~fpu_config.dynamic);
	fpu_image_prepare(initial);
}
