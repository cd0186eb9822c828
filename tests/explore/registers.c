/* The symbolic register file, the images, and what else fpu/ needs of a kernel around it. See registers.h. */
#include <string.h>

#include "fpu/cpu.h"
#include "fpu/insn.h"
#include "fpu/setup.h"
#include "fpu/soft.h"
#include "kernel/bootinfo.h"
#include "tests/explore/registers.h"
#include "tests/explore/world.h"

#undef memcpy
#define AREA_SIZE (XSAVE_EXTENDED + XSAVE_ALIGN)
#define POISON 0xa5

struct registers registers;

static union {
	struct xsave_area area;
	u8 bytes[AREA_SIZE];
} areas[IMAGES];
static bool used[IMAGES];

static u32 index_of(const struct xsave_area *area)
{
	return (u32)((const u8 *)area - areas[0].bytes) / AREA_SIZE;
}

static u8 encode(u64 value, u64 initial)
{
	return value == initial ? 0 : (u8)value;
}

struct image image_state(u32 index)
{
	const struct xsave_area *area = &areas[index].area;
	struct image image = { .used = used[index] };

	image.written = areas[index].bytes[sizeof(*area) - 1] != POISON;
	image.xstate_bv = (u8)(area->xstate_bv & XFM_LEGACY) | (area->xstate_bv & XFM(XF_CET_U) ? 4 : 0);
	image.damaged = area->header_reserved[0];
	image.stored.of[X87] = encode(area->fcw, FCW_INIT);
	image.stored.of[MXCSR] = encode(area->mxcsr, MXCSR_INIT);
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
	area->fcw = image->stored.of[X87] ? image->stored.of[X87] : FCW_INIT;
	area->mxcsr = image->stored.of[MXCSR] ? image->stored.of[MXCSR] : MXCSR_INIT;
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

static void check_area(const struct xsave_area *area, const char *what)
{
	if (!used[index_of(area)])
		fail("%s an fpstate that was freed", what);
	if (registers.ts)
		fail("a vector instruction in the kernel with CR0.TS set: #NM");
}

void xsaves64(void *p, u64 rfbm)
{
	struct xsave_area *area = p;
	const u8 *v = registers.values.of;

	check_area(area, "saves into");
	area->xstate_bv = 0;
	area->xcomp_bv = XCOMP_COMPACTED | rfbm;
	if (v[X87]) {
		area->xstate_bv |= XFM(XF_X87);
		area->fcw = v[X87];
	}
	if (v[MXCSR] || v[VECTOR]) {
		area->xstate_bv |= XFM(XF_SSE);
		area->mxcsr = v[MXCSR] ? v[MXCSR] : MXCSR_INIT;
		area->xmm[0][0] = v[VECTOR];
	}
	if (rfbm & XFM(XF_CET_U) && v[UNGATED]) {
		area->xstate_bv |= XFM(XF_CET_U);
		area->extended[0] = v[UNGATED];
	}
}

/* A refused image is torn: x87 is loaded before the fault is found. */
int xrstors64(const void *p, u64 rfbm)
{
	const struct xsave_area *area = p;
	struct image image = image_of(area);
	struct values v = image_values(&image);

	check_area(area, "loads");
	if (!image.written)
		fail("loads an fpstate that nobody has written yet");
	if (rfbm & XFM(XF_X87))
		registers.values.of[X87] = v.of[X87];
	if (image.damaged)
		return -1;
	if (rfbm & XFM(XF_SSE)) {
		registers.values.of[MXCSR] = v.of[MXCSR];
		registers.values.of[VECTOR] = v.of[VECTOR];
	}
	if (rfbm & XFM(XF_CET_U))
		registers.values.of[UNGATED] = v.of[UNGATED];
	return 0;
}

u32 rdpkru(void)
{
	return registers.pkru;
}

void wrpkru(u32 pkru)
{
	registers.pkru = pkru;
}

void ldmxcsr(u32 mxcsr)
{
	if (registers.ts)
		fail("LDMXCSR in the kernel with CR0.TS set: #NM");
	registers.values.of[MXCSR] = encode(mxcsr, MXCSR_INIT);
}

u32 stmxcsr(void)
{
	if (registers.ts)
		fail("STMXCSR in the kernel with CR0.TS set: #NM");
	return registers.values.of[MXCSR] ? registers.values.of[MXCSR] : MXCSR_INIT;
}

void fninit(void)
{
	if (registers.ts)
		fail("FNINIT in the kernel with CR0.TS set: #NM");
	registers.values.of[X87] = 0;
}

void clts(void)
{
	registers.ts = false;
}

void stts(void)
{
	registers.ts = true;
}

u64 read_fpu_msr(u32 msr)
{
	return msr == MSR_IA32_U_CET ? registers.values.of[UNGATED] : 0;
}

struct xsave_area *fpu_area_alloc(u32 size)
{
	const struct task *task = &world.task[world.current];

	if (task->exec && !(task->fpu.flags & TASK_NEED_FPU_LOAD))
		fail("an integer-only task gets an fpstate while its flag is clear: it would seem ACTIVE");
	for (u32 i = 0; i < IMAGES; i++) {
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

/* The interrupt comes between the legacy region and the rest. */
void *explore_memcpy(void *dst, const void *src, size_t n)
{
	size_t half = MIN(n, (size_t)XSAVE_LEGACY_SIZE);

	memcpy(dst, src, half);
	explore_point(1);
	memcpy((u8 *)dst + half, (const u8 *)src + half, n - half);
	return dst;
}

/* The model is not at work: fpu_config.native. */
int soft_xsaves(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm)
{
	fail("the model is called");
}

int soft_xrstors(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm)
{
	fail("the model is called");
}

void registers_start(bool ungated)
{
	struct xsave_area *init_image;

	memset(used, 0, sizeof(used));
	memset(areas, POISON, sizeof(areas));
	registers = (struct registers){ 0 };
	fpu_config = (struct fpu_config){ .native = true, .pku = true };
	fpu_config.xcr0 = XFM_LEGACY | XFM(XF_PKRU);
	fpu_config.xss = ungated ? XFM(XF_CET_U) : 0;
	fpu_config.layout.user = fpu_config.xcr0;
	fpu_config.layout.supervisor = XFM(XF_CET_U);
	fpu_config.layout.component[XF_CET_U] = (struct xstate_component){ .size = 16, .supervisor = true };
	fpu_config.features = fpu_config.xcr0 | fpu_config.xss;
	fpu_config.mask = fpu_config.features & ~XFM(XF_PKRU);
	fpu_config.ungated = fpu_config.xss;
	fpu_config.size = xstate_compact_size(&fpu_config.layout, fpu_config.mask);
	init_image = fpu_area_alloc(fpu_config.size);
	fpu_image_reset(init_image);
	fpu_image_prepare(init_image);
}
