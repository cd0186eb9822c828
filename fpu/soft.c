/*
 * The compacted instructions on top of the standard ones; see soft.h. A save lets XSAVE write the registers
 * into the scratch area, where each component has its fixed place, and moves those in use to their compacted
 * places; a restore is the way back. Must never allocate, and never touch a byte of an area that the
 * instruction would leave alone.
 */
#include "fpu/soft.h"
#include "fpu/insn.h"
#include "kernel/string.h"

#define MODELLED_SUPERVISOR (XFM(XF_PASID) | XFM(XF_CET_U))
#define PASID_SIZE 8
/* Where silicon with AVX-512 and PKRU has them in the standard format. */
#define TILECFG_OFFSET 2752
#define TILEDATA_OFFSET 2816
#define PKRU_STORED 4 /* of the component's 8 bytes the upper 4 are never written */

/* --- Set-up --- */

void soft_extend_layout(struct xstate_layout *layout)
{
	layout->supervisor = (layout->supervisor | XFM(XF_PASID)) & MODELLED_SUPERVISOR;
	layout->component[XF_PASID] = (struct xstate_component){ .size = PASID_SIZE, .supervisor = true };
	layout->user |= XFM_TILES;
	layout->component[XF_TILECFG] = (struct xstate_component){
		.size = sizeof(struct amx_config), .offset = TILECFG_OFFSET, .align64 = true,
	};
	layout->component[XF_TILEDATA] = (struct xstate_component){
		.size = AMX_TILES * AMX_ROWS * AMX_COLSB, .offset = TILEDATA_OFFSET, .align64 = true, .xfd = true,
	};
	layout->xsavec = layout->xgetbv1 = layout->xsaves = layout->xfd = true;
}

void soft_init(struct soft_cpu *cpu, const struct xstate_layout *layout, u64 xcr0, void *scratch)
{
	memset(cpu, 0, sizeof(*cpu));
	memset(scratch, 0, xstate_standard_size(layout, xcr0));
	cpu->layout = layout;
	cpu->real_xcr0 = cpu->xcr0 = xcr0;
	cpu->scratch = scratch;
	cpu->component[XF_PASID] = &soft_pasid;
	cpu->component[XF_CET_U] = &soft_cet_u;
	cpu->component[XF_TILECFG] = &soft_tilecfg;
	cpu->component[XF_TILEDATA] = &soft_tiledata;
	xsave64(scratch, XFM(XF_SSE));
	cpu->mxcsr_mask = cpu->scratch->mxcsr_mask ? cpu->scratch->mxcsr_mask : MXCSR_MASK_DEFAULT;
}

/*
 * #NM while CR0.TS is set, as from the real instructions. Not every emulator's XSAVE and XRSTOR raise it, and then a
 * path that forgot fpu_clear_ts would work there and die on hardware; STMXCSR raises it everywhere.
 */
static void check_ts(void)
{
	stmxcsr();
}

/* --- Places --- */

static void *standard(const struct soft_cpu *cpu, u32 feature)
{
	return (u8 *)cpu->scratch + cpu->layout->component[feature].offset;
}

static void *compacted(const struct soft_cpu *cpu, const struct xsave_area *area, u32 feature)
{
	return (u8 *)area + xstate_compact_offset(cpu->layout, area->xcomp_bv, feature);
}

static u32 stored_size(const struct soft_cpu *cpu, u32 feature)
{
	return feature == XF_PKRU ? PKRU_STORED : cpu->layout->component[feature].size;
}

/*
 * x87: bytes 0 to 23 and the data registers. SSE, in the compacted format: MXCSR, its mask and the XMM
 * registers. Bytes 416 to 511 belong to nobody.
 */
static void copy_legacy(struct xsave_area *to, const struct xsave_area *from, u64 features)
{
	if (features & XFM(XF_X87)) {
		memcpy(to, from, offsetof(struct xsave_area, mxcsr));
		memcpy(to->st, from->st, sizeof(to->st));
	}
	if (features & XFM(XF_SSE)) {
		to->mxcsr = from->mxcsr;
		to->mxcsr_mask = from->mxcsr_mask;
		memcpy(to->xmm, from->xmm, sizeof(to->xmm));
	}
}

/* --- In use? (manual, volume 1, 13.6) --- */

static bool x87_in_use(const struct xsave_area *a)
{
	return a->fcw != FCW_INIT || a->fsw || a->ftw || a->fop || a->fip || a->fdp || !all_zero(a->st, sizeof(a->st));
}

/* MXCSR counts: the compacted instructions save SSE state if only it differs. */
static bool sse_in_use(const struct xsave_area *a)
{
	return a->mxcsr != MXCSR_INIT || !all_zero(a->xmm, sizeof(a->xmm));
}

static bool user_in_use(const struct soft_cpu *cpu, u32 feature)
{
	switch (feature) {
	case XF_X87:
		return x87_in_use(cpu->scratch);
	case XF_SSE:
		return sse_in_use(cpu->scratch);
	default:
		return !all_zero(standard(cpu, feature), stored_size(cpu, feature));
	}
}

/*
 * XSAVE of features into the scratch area; which of them are in use. The fixed part is cleared first because
 * some CPUs leave the fields alone that they don't implement.
 */
static u64 read_user(struct soft_cpu *cpu, u64 features)
{
	u64 in_use = 0;

	memset(cpu->scratch, 0, XSAVE_EXTENDED);
	xsave64(cpu->scratch, features);
	for (u32 i = 0; i < XF_COUNT; i++)
		if (features & BIT(i) && user_in_use(cpu, i))
			in_use |= BIT(i);
	return in_use;
}

u64 soft_xinuse(struct soft_cpu *cpu)
{
	u64 tiles = (amx_configured(&cpu->tiles) ? XFM(XF_TILECFG) : 0) | (cpu->tiles.used ? XFM(XF_TILEDATA) : 0);

	return read_user(cpu, cpu->real_xcr0) | (tiles & cpu->xcr0);
}

/* --- Saving (13.10 XSAVEC, 13.11 XSAVES) --- */

static bool misaligned(const struct xsave_area *area)
{
	return (u64)area % XSAVE_ALIGN;
}

/*
 * Of the header, only XSTATE_BV and XCOMP_BV are written: a bit of XSTATE_BV says that the component was in
 * use and is there; the space of one that wasn't stays reserved, and its bytes stay what they were. One that XFD
 * disables counts as not in use, whatever its registers hold.
 */
static int save(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm)
{
	u64 stored;

	check_ts();
	if (misaligned(area))
		return SOFT_GP;
	stored = read_user(cpu, rfbm & cpu->real_xcr0);
	area->xstate_bv = stored;
	area->xcomp_bv = XCOMP_COMPACTED | rfbm;
	copy_legacy(area, cpu->scratch, stored);
	for (u32 i = XF_AVX; i < XF_COUNT; i++) {
		if (stored & BIT(i))
			memcpy(compacted(cpu, area, i), standard(cpu, i), stored_size(cpu, i));
		else if (rfbm & ~cpu->real_xcr0 & ~cpu->xfd & BIT(i) &&
			 cpu->component[i]->save(cpu, compacted(cpu, area, i)))
			area->xstate_bv |= BIT(i);
	}
	return 0;
}

int soft_xsavec(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm)
{
	return save(cpu, area, rfbm & cpu->xcr0);
}

int soft_xsaves(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm)
{
	return save(cpu, area, rfbm & (cpu->xcr0 | cpu->xss));
}

/* --- Restoring (13.8.2 XRSTOR, compacted form; 13.12 XRSTORS) --- */

/*
 * The checks that don't depend on RFBM, in the manual's order: the format; components that aren't enabled;
 * components that aren't in the image (bit 63 of XSTATE_BV is never a component); the rest of the header.
 */
static bool header_valid(const struct xsave_area *area, u64 enabled)
{
	return area->xcomp_bv & XCOMP_COMPACTED && !(area->xcomp_bv & ~XCOMP_COMPACTED & ~enabled) &&
	       !(area->xstate_bv & (~area->xcomp_bv | XCOMP_COMPACTED)) &&
	       all_zero(area->header_reserved, sizeof(area->header_reserved));
}

/* The values that would be loaded: reserved bits of MXCSR, then what the other components refuse. */
static bool values_valid(const struct soft_cpu *cpu, const struct xsave_area *area, u64 loaded)
{
	if (loaded & XFM(XF_SSE) && area->mxcsr & ~cpu->mxcsr_mask)
		return false;
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (loaded & ~cpu->real_xcr0 & BIT(i) && !cpu->component[i]->valid(cpu, compacted(cpu, area, i)))
			return false;
	return true;
}

/*
 * The components of rfbm that XRSTOR reaches: those in loaded from the image, the others to their initial state, which
 * XRSTOR does for every bit that is clear in XSTATE_BV. MXCSR is the exception: the standard form always
 * loads it where rfbm has SSE or AVX, the compacted form treats it as a part of SSE.
 */
static void write_user(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm, u64 loaded)
{
	struct xsave_area *scratch = cpu->scratch;

	copy_legacy(scratch, area, loaded);
	if (!(rfbm & XFM(XF_SSE)))
		scratch->mxcsr = stmxcsr();
	else if (!(loaded & XFM(XF_SSE)))
		scratch->mxcsr = MXCSR_INIT;
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (loaded & BIT(i))
			memcpy(standard(cpu, i), compacted(cpu, area, i), stored_size(cpu, i));
	scratch->xstate_bv = loaded;
	scratch->xcomp_bv = 0;
	memset(scratch->header_reserved, 0, sizeof(scratch->header_reserved));
	if (cpu->keeps_fip && rfbm & XFM(XF_X87))
		fninit(); /* or they would stay the last owner's (museum entry 34) */
	xrstor64(scratch, rfbm);
}

static void write_others(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm, u64 loaded)
{
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (rfbm & BIT(i))
			cpu->component[i]->load(cpu, loaded & BIT(i) ? compacted(cpu, area, i) : NULL);
}

static int restore(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm, u64 enabled)
{
	u64 loaded;

	check_ts();
	if (misaligned(area) || !header_valid(area, enabled))
		return SOFT_GP;
	rfbm &= enabled;
	loaded = rfbm & area->xstate_bv;
	if (!values_valid(cpu, area, loaded))
		return SOFT_GP;
	if (loaded & cpu->xfd) {
		cpu->xfd_err = loaded & cpu->xfd;
		return SOFT_NM;
	}
	write_others(cpu, area, rfbm & ~cpu->real_xcr0, loaded);
	write_user(cpu, area, rfbm & cpu->real_xcr0, loaded & cpu->real_xcr0);
	return 0;
}

int soft_xrstor_compacted(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm)
{
	return restore(cpu, area, rfbm, cpu->xcr0);
}

int soft_xrstors(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm)
{
	return restore(cpu, area, rfbm, cpu->xcr0 | cpu->xss);
}
