/*
 * The instructions, on the registers of the CPU that executes. Before each there is a point, at which another CPU
 * may come. See registers.h.
 */
#include <string.h>

#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/soft.h"
#include "tests/explore/images.h"
#include "tests/explore/points.h"
#include "tests/explore/trail.h"

static struct registers *registers(void)
{
	return &this_cpu()->registers;
}

static void may_use(const char *what)
{
	if (registers()->ts)
		fail("%s in the kernel with CR0.TS set: #NM", what);
}

/* XFD is that of the context whose values are moved. */
static void check_xfd(const struct xsave_area *area, const char *what)
{
	for (u32 i = 0; i < world.config.users; i++) {
		const struct fpu_task *task = &world.task[i].fpu;

		if (task->active && task->user.fpstate == area && task->user.xfd != registers()->xfd)
			fail("I-XFD: %s %c's fpstate under another's XFD", what, 'A' + i);
	}
}

static void check_area(const struct xsave_area *area, const char *what)
{
	struct image image = image_of(area);

	if (!image.used)
		fail("%s an fpstate that was freed", what);
	if (image.tiles != image.room)
		fail("%s an fpstate whose XCOMP_BV is not that of its size", what);
	check_xfd(area, what);
	may_use("a vector instruction");
}

void xsaves64(void *p, u64 rfbm)
{
	struct xsave_area *area = p;
	const u8 *v;

	explore_point(POINT_SAVE);
	check_area(area, "saves into");
	v = registers()->values.of;
	area->xstate_bv = 0;
	area->xcomp_bv = XCOMP_COMPACTED | rfbm;
	if (v[X87]) {
		area->xstate_bv |= XFM(XF_X87);
		area->fcw = v[X87];
	}
	if (v[MXCSR] || v[VECTOR]) {
		area->xstate_bv |= XFM(XF_SSE);
		area->mxcsr = image_encode(v[MXCSR], MXCSR_INIT);
		area->xmm[0][0] = v[VECTOR];
	}
	if (rfbm & XFM(XF_CET_U) && v[UNGATED]) {
		area->xstate_bv |= XFM(XF_CET_U);
		area->extended[0] = v[UNGATED];
	}
	if (rfbm & ~registers()->xfd & XFM(XF_TILEDATA) && v[TILES]) {
		area->xstate_bv |= XFM(XF_TILEDATA);
		*(u64 *)image_tiles(area) = v[TILES]; /* all of it */
	}
}

/* A refused image is torn: x87 is loaded before the fault is found. Nothing is, where XFD disables what is there. */
static int load(const struct xsave_area *area, u64 rfbm)
{
	struct image image = image_of(area);
	struct values v = image_values(&image);
	u8 *to = registers()->values.of;

	if (!image.written)
		fail("loads an fpstate that nobody has written yet");
	if (area->xstate_bv & rfbm & registers()->xfd)
		fail("I-XFD: #NM in the kernel, at a load of tiles that XFD disables");
	if (rfbm & XFM(XF_X87))
		to[X87] = v.of[X87];
	if (image.damaged)
		return -1;
	if (rfbm & XFM(XF_SSE)) {
		to[MXCSR] = v.of[MXCSR];
		to[VECTOR] = v.of[VECTOR];
	}
	if (rfbm & XFM(XF_CET_U))
		to[UNGATED] = v.of[UNGATED];
	if (rfbm & XFM(XF_TILEDATA))
		to[TILES] = v.of[TILES];
	return 0;
}

int xrstors64(const void *area, u64 rfbm)
{
	int failed;

	explore_point(POINT_LOAD);
	check_area(area, "loads");
	failed = load(area, rfbm);
	explore_point(POINT_LOADED);
	return failed;
}

u32 rdpkru(void)
{
	explore_point(POINT_PKRU);
	return registers()->pkru;
}

void wrpkru(u32 pkru)
{
	explore_point(POINT_PKRU);
	registers()->pkru = pkru;
}

void ldmxcsr(u32 mxcsr)
{
	explore_point(POINT_CONTROL);
	may_use("LDMXCSR");
	registers()->values.of[MXCSR] = image_decode(mxcsr, MXCSR_INIT);
}

u32 stmxcsr(void)
{
	may_use("STMXCSR");
	return image_encode(registers()->values.of[MXCSR], MXCSR_INIT);
}

void fninit(void)
{
	explore_point(POINT_CONTROL);
	may_use("FNINIT");
	registers()->values.of[X87] = 0;
}

void clts(void)
{
	explore_point(POINT_TS);
	registers()->ts = false;
}

void stts(void)
{
	explore_point(POINT_TS);
	registers()->ts = true;
}

u64 read_fpu_msr(u32 msr)
{
	if (msr == MSR_IA32_XFD_ERR)
		return registers()->xfd_err;
	return msr == MSR_IA32_U_CET ? registers()->values.of[UNGATED] : 0;
}

/* PASID alone has an instruction of its own, and is not here. */
void write_fpu_msr(u32 msr, u64 value)
{
	explore_point(POINT_MSR);
	if (msr == MSR_IA32_XFD)
		registers()->xfd = (u32)value;
	else if (msr == MSR_IA32_XFD_ERR)
		registers()->xfd_err = (u32)value;
	else
		fail("an MSR is written");
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

void amx_release(struct amx_registers *r)
{
	fail("the model is called");
}

void tilerelease(void)
{
	explore_point(POINT_TILES);
	registers()->values.of[TILES] = 0;
}

/* XINUSE, as far as anybody asks. */
u64 xgetbv(u32 index)
{
	return registers()->values.of[TILES] ? XFM(XF_TILEDATA) : 0;
}

/* Tile data lie behind PKRU in the standard format, and last in an fpstate. */
static void tiles_start(void)
{
	fpu_config.xcr0 |= XFM(XF_TILEDATA);
	fpu_config.dynamic = XFM(XF_TILEDATA);
	fpu_config.layout.component[XF_TILEDATA] =
		(struct xstate_component){ .size = 8, .offset = TILES_OFFSET, .xfd = true };
}

void registers_start(bool ungated, bool tiles)
{
	fpu_config = (struct fpu_config){ .native = true, .pku = true };
	fpu_config.xcr0 = XFM_LEGACY | XFM(XF_PKRU);
	fpu_config.xss = ungated ? XFM(XF_CET_U) : 0;
	if (tiles)
		tiles_start();
	fpu_config.layout.user = fpu_config.xcr0;
	fpu_config.layout.supervisor = XFM(XF_CET_U);
	fpu_config.mxcsr_mask = 0xffff;
	fpu_config.layout.component[XF_PKRU] = (struct xstate_component){ .size = 8, .offset = PKRU_OFFSET };
	fpu_config.layout.component[XF_CET_U] = (struct xstate_component){ .size = 16, .supervisor = true };
	fpu_config.features = fpu_config.xcr0 | fpu_config.xss;
	fpu_config.mask = fpu_config.features & ~XFM(XF_PKRU);
	fpu_config.ungated = fpu_config.mask & ~XFM_LEGACY;
	fpu_config.size = xstate_compact_size(&fpu_config.layout, fpu_config.mask & ~fpu_config.dynamic);
	fpu_config.full_size = xstate_compact_size(&fpu_config.layout, fpu_config.mask);
}
