/*
 * xsave_data.h - contents for XSAVE areas that every CPU loads and stores unchanged, and what an area means:
 * shared by the host tests of the model and by the proof in ring 0. Whoever includes it has defined
 * `u64 random_word(void)` before. Must not use anything of the model.
 */
#ifndef XSAVE_DATA_H
#define XSAVE_DATA_H

#include "fpu/xstate.h"
#include "kernel/string.h"

#define MAX_COMPONENT 8192
#define MXCSR_STATUS_AND_MASKS 0xffff
#define PKRU_KEY0 3u

static void random_bytes(void *to, u32 n)
{
	u8 *byte = to;

	for (; n >= sizeof(u64); n -= sizeof(u64), byte += sizeof(u64))
		*(u64 *)byte = random_word();
	for (; n; n--)
		*byte++ = (u8)random_word();
}

/* x87 state with nothing but one field out of its initial value: a test of "in use" may not forget one. */
static void random_x87_field(struct xsave_area *area)
{
	area->fcw = FCW_INIT;
	switch (random_word() % 7) {
	case 0:
		area->fcw = FCW_INIT & ~0x300u;
		break;
	case 1:
		area->fsw = 0x4000;
		break;
	case 2:
		area->ftw = 0x80;
		break;
	case 3:
		area->fip = 1;
		break;
	case 4:
		area->fdp = 1;
		break;
	case 5:
		area->fop = 1;
		break;
	default:
		area->st[random_word() % 8][random_word() % 8] = 1;
	}
}

/* Normal numbers, so that no implementation has a reason to change the tags; no pending exception. */
static void random_x87(struct xsave_area *area)
{
	if (random_word() % 4 == 0) {
		random_x87_field(area);
		return;
	}
	area->fcw = (u16)(FCW_INIT | (random_word() & 0xc00));
	area->fsw = (u16)(random_word() & 0x7f00);
	area->ftw = (u8)random_word();
	area->fop = (u16)(random_word() & 0x7ff);
	area->fip = random_word() & 0x7fffffffffff;
	area->fdp = random_word() & 0x7fffffffffff;
	for (u32 i = 0; i < ARRAY_SIZE(area->st); i++) {
		random_bytes(area->st[i], 8);
		area->st[i][7] |= 0x80;
		area->st[i][8] = (u8)random_word();
		area->st[i][9] = 0x40;
	}
}

static void random_legacy(struct xsave_area *area, u64 features, u32 mxcsr_mask)
{
	if (features & XFM(XF_X87))
		random_x87(area);
	if (features & XFM(XF_SSE)) {
		area->mxcsr = (u32)random_word() & mxcsr_mask & MXCSR_STATUS_AND_MASKS;
		random_bytes(area->xmm, sizeof(area->xmm));
	}
}

/* All tiles of the largest shape. */
static void tile_config(u8 *to)
{
	to[0] = 1; /* palette */
	for (u32 i = 0; i < 8; i++) {
		to[16 + 2 * i] = 64; /* bytes a row */
		to[48 + i] = 16;     /* rows */
	}
}

/* A user component beyond SSE; now and then initial contents, or nearly so. The place holds zeros. */
static void random_component(void *to, u32 feature, u32 size)
{
	u64 kind = random_word() % 8;

	if (feature == XF_PKRU)
		*(u32 *)to = (u32)random_word() & ~PKRU_KEY0;
	else if (feature == XF_TILECFG)
		tile_config(to);
	else if (kind == 1)
		((u8 *)to)[random_word() % size] = 1;
	else if (kind)
		random_bytes(to, size);
}

static u32 value_size(const struct xstate_layout *layout, u32 feature)
{
	return feature == XF_PKRU ? 4 : layout->component[feature].size;
}

/* The component's bytes in a compacted area that holds it. */
static u8 *value_place(const struct xstate_layout *layout, const struct xsave_area *area, u32 feature)
{
	return (u8 *)area + xstate_compact_offset(layout, area->xcomp_bv, feature);
}

/* Bytes of a legacy field group in their initial state, not by the model's own test. */
static bool initial_x87(const struct xsave_area *area)
{
	static const struct xsave_area initial = { .fcw = 0x37f };

	return !memcmp(area, &initial, offsetof(struct xsave_area, mxcsr)) &&
	       !memcmp(area->st, initial.st, sizeof(initial.st));
}

static bool zero_bytes(const u8 *bytes, u32 n)
{
	while (n && !*bytes)
		n--, bytes++;
	return !n;
}

/* Whether what a compacted area stores for a component means the same as leaving it out. */
static bool is_initial(const struct xstate_layout *layout, const struct xsave_area *area, u32 feature)
{
	if (feature == XF_X87)
		return initial_x87(area);
	if (feature == XF_SSE)
		return area->mxcsr == 0x1f80 && zero_bytes(area->xmm[0], sizeof(area->xmm));
	return zero_bytes(value_place(layout, area, feature), value_size(layout, feature));
}

static bool same_bytes(const struct xstate_layout *layout, const struct xsave_area *a, const struct xsave_area *b,
		       u32 feature)
{
	if (feature == XF_X87)
		return !memcmp(a, b, offsetof(struct xsave_area, mxcsr)) && !memcmp(a->st, b->st, sizeof(a->st));
	if (feature == XF_SSE)
		return a->mxcsr == b->mxcsr && a->mxcsr_mask == b->mxcsr_mask && !memcmp(a->xmm, b->xmm, sizeof(a->xmm));
	return !memcmp(value_place(layout, a, feature), value_place(layout, b, feature), value_size(layout, feature));
}

/* A component has one value in both compacted areas: its bytes, or the initial one where its bit is clear. */
static inline bool same_value(const struct xstate_layout *layout, const struct xsave_area *a,
			      const struct xsave_area *b, u32 feature)
{
	bool in_a = a->xstate_bv >> feature & 1, in_b = b->xstate_bv >> feature & 1;

	if (in_a && in_b)
		return same_bytes(layout, a, b, feature);
	return (!in_a || is_initial(layout, a, feature)) && (!in_b || is_initial(layout, b, feature));
}

/*
 * Overwrites everything that a compacted save of that area had to write with the byte that the area was
 * poisoned with; then the whole area must be poison. Returns the first byte that isn't, or -1.
 */
static inline long first_stray_byte(const struct xstate_layout *layout, struct xsave_area *area, u32 size,
				    u8 poison)
{
	u64 stored = area->xstate_bv;

	if (stored & XFM(XF_X87)) {
		memset(area, poison, offsetof(struct xsave_area, mxcsr));
		memset(area->st, poison, sizeof(area->st));
	}
	if (stored & XFM(XF_SSE)) {
		memset(&area->mxcsr, poison, 8);
		memset(area->xmm, poison, sizeof(area->xmm));
	}
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (stored & BIT(i))
			memset(value_place(layout, area, i), poison, value_size(layout, i));
	memset(&area->xstate_bv, poison, 16);
	for (u32 i = 0; i < size; i += sizeof(u64))
		if (*(u64 *)((u8 *)area + i) != poison * 0x0101010101010101ul)
			return i;
	return -1;
}

#endif
