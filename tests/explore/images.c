/* See images.h. Only the bytes that carry symbolic values are looked at. */
#include <string.h>

#include "fpu/buffers.h"
#include "fpu/image.h"
#include "fpu/setup.h"
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
static bool used[IMAGES];
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

	image.written = areas[index].bytes[sizeof(*area) - 1] != POISON;
	image.xstate_bv = (u8)(area->xstate_bv & XFM_LEGACY) | (area->xstate_bv & XFM(XF_CET_U) ? 4 : 0);
	image.damaged = area->header_reserved[0];
	image.stored.of[X87] = image_decode(area->fcw, FCW_INIT);
	image.stored.of[MXCSR] = image_decode(area->mxcsr, MXCSR_INIT);
	image.stored.of[VECTOR] = area->xmm[0][0];
	image.stored.of[UNGATED] = area->extended[0];
	return image;
}

void image_set_state(u32 index, const struct image *image)
{
	struct xsave_area *area = &areas[index].area;
	struct image now = image_state(index);

	used[index] = now.used = image->used;
	if (!memcmp(&now, image, sizeof(now)))
		return;
	memset(area, 0, AREA_SIZE);
	area->xcomp_bv = XCOMP_COMPACTED | fpu_config.mask;
	area->xstate_bv = (image->xstate_bv & XFM_LEGACY) | (image->xstate_bv & 4 ? XFM(XF_CET_U) : 0);
	area->header_reserved[0] = image->damaged;
	area->fcw = image_encode(image->stored.of[X87], FCW_INIT);
	area->mxcsr = image_encode(image->stored.of[MXCSR], MXCSR_INIT);
	area->mxcsr_mask = MXCSR_MASK_DEFAULT;
	area->xmm[0][0] = image->stored.of[VECTOR];
	area->extended[0] = image->stored.of[UNGATED];
	if (!image->written)
		memset((u8 *)area + XSAVE_LEGACY_SIZE, POISON, AREA_SIZE - XSAVE_LEGACY_SIZE);
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
	for (u32 i = 0; i < count; i++) {
		if (used[i])
			continue;
		used[i] = true;
		memset(&areas[i], POISON, AREA_SIZE);
		return &areas[i].area;
	}
	fail("a context has lost its fpstate: no image is left");
}

void fpu_area_free(struct xsave_area *area)
{
	if (!area)
		return;
	if (!used[index_of(area)])
		fail("an fpstate is freed twice");
	used[index_of(area)] = false;
	memset(area, POISON, AREA_SIZE);
}

struct fpu_buffers fpu_buffers;

void fpu_fpstate_free(struct xsave_area *area)
{
	fpu_area_free(area);
}

u32 images_count(void)
{
	return count;
}

void images_start(u32 users)
{
	struct xsave_area *initial;

	count = users + 2;
	memset(used, 0, sizeof(used));
	memset(areas, POISON, sizeof(areas));
	initial = fpu_area_alloc(fpu_config.size);
	fpu_image_reset(initial, fpu_config.mask);
	fpu_image_prepare(initial);
}
