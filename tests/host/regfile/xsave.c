/*
 * XSAVE and XRSTOR in all their forms on the software register file. Offsets are computed here once more, and
 * not by fpu/xstate.c, which is under test.
 */
#include <string.h>

#include "internal.h"
#include "fpu/insn.h"

#define FSW_ES BIT(7)
#define FEATURES(cpu) ((cpu)->xcr0 | (cpu)->xss)
#define LOADS_MXCSR(rfbm) ((rfbm) & (BIT(XF_SSE) | BIT(XF_AVX)))

/* --- What is in use --- */

static u64 random_bits(void)
{
	regfile.random ^= regfile.random << 13;
	regfile.random ^= regfile.random >> 7;
	regfile.random ^= regfile.random << 17;
	return regfile.random >> 8;
}

/* A disarmed component (XFD) is saved as if it were initial, whatever it holds. */
u64 components_in_use(const struct regfile_cpu *cpu)
{
	u64 used = 0;

	for (u32 i = 0; i < XF_COUNT; i++) {
		if (!(FEATURES(cpu) >> i & 1) || cpu->xfd >> i & 1)
			continue;
		if (regfile.knobs.init == INIT_NEVER || !holds_initial(cpu, i))
			used |= BIT(i);
		else if (regfile.knobs.init == INIT_RANDOM && random_bits() & 1)
			used |= BIT(i);
	}
	return used;
}

/* --- Saving --- */

static u8 *component_at(const void *area, u64 xcomp_bv, u32 feature)
{
	u32 at = XSAVE_EXTENDED;

	if (!(xcomp_bv & XCOMP_COMPACTED))
		return (u8 *)area + components[feature].offset;
	for (u32 i = XF_AVX; i <= feature; i++) {
		if (!(xcomp_bv >> i & 1))
			continue;
		if (components[i].ecx & 2)
			at = (at + 63) / 64 * 64;
		if (i == feature)
			break;
		at += components[i].size;
	}
	return (u8 *)area + at;
}

/* The first byte behind an area that holds features: a save probes up to there, in use or not. */
static const u8 *end_of(const void *area, u64 xcomp_bv, u64 features)
{
	const u8 *end = (const u8 *)area + XSAVE_EXTENDED;

	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (features >> i & 1)
			end = MAX(end, component_at(area, xcomp_bv, i) + components[i].size);
	return end;
}

/* The faults that depend on the area and the CPU only: 0, or the vector. */
static int area_fault(const void *area, const u8 *end)
{
	const u8 *absent = regfile.knobs.absent;

	if (this()->ts)
		return EXC_NM;
	if ((u64)area % XSAVE_ALIGN)
		return EXC_GP;
	return absent && absent >= (const u8 *)area && absent < end ? EXC_PF : 0;
}

/* FOP, FIP and FDP of the image, or of the registers, stay what they are if the knob says so. */
static void move_x87(struct xsave_area *to, const struct xsave_area *from)
{
	u32 moved = X87_FIRST;

	if (regfile.knobs.fip_skipped_unless_ES && !(from->fsw & FSW_ES))
		moved = offsetof(struct xsave_area, fop);
	memcpy(to, from, moved);
	memcpy(to->st, from->st, sizeof(to->st));
}

static void put(const struct regfile_cpu *cpu, struct xsave_area *area, u64 xcomp_bv, u32 feature)
{
	if (feature == XF_X87) {
		move_x87(area, &cpu->legacy);
	} else if (feature == XF_SSE) {
		memcpy(&area->mxcsr, &cpu->legacy.mxcsr, 8);
		memcpy(area->xmm, cpu->legacy.xmm, sizeof(area->xmm));
	} else {
		u32 size = feature == XF_PKRU ? 4 : components[feature].size;
		u8 *to = component_at(area, xcomp_bv, feature);

		if (cpu->xfd >> feature & 1)
			memset(to, 0, size);
		else
			memcpy(to, cpu->value[feature], size);
	}
}

void xsave64(void *area, u64 rfbm)
{
	struct regfile_cpu *cpu = this();
	struct xsave_area *a = area;
	u64 used = components_in_use(cpu);
	int vector;

	rfbm &= cpu->xcr0;
	vector = area_fault(area, end_of(area, 0, rfbm));
	if (vector) {
		fault(vector);
		return;
	}
	a->xstate_bv = (a->xstate_bv & ~rfbm) | (used & rfbm);
	if (LOADS_MXCSR(rfbm))
		memcpy(&a->mxcsr, &cpu->legacy.mxcsr, 8);
	for (u32 i = 0; i < XF_COUNT; i++)
		if (rfbm >> i & 1)
			put(cpu, a, 0, i);
}

/* What the modified optimisation leaves out: everything that the last restore took from this very area. */
static u64 unmodified(const struct regfile_cpu *cpu, const void *area, u64 xcomp_bv)
{
	bool same = cpu->restored_from == area && cpu->restored_xcomp_bv == xcomp_bv;

	return regfile.knobs.modified && same ? ~cpu->xmodified : 0;
}

static int save_compacted(void *area, u64 rfbm, bool modified_optimisation)
{
	struct regfile_cpu *cpu = this();
	struct xsave_area *a = area;
	u64 xcomp_bv = XCOMP_COMPACTED | rfbm, written = components_in_use(cpu) & rfbm;
	int vector = area_fault(area, end_of(area, xcomp_bv, rfbm));

	if (vector)
		return fault(vector);
	a->xstate_bv = written;
	a->xcomp_bv = xcomp_bv;
	if (modified_optimisation)
		written &= ~unmodified(cpu, area, xcomp_bv);
	for (u32 i = 0; i < XF_COUNT; i++)
		if (written >> i & 1)
			put(cpu, a, xcomp_bv, i);
	return 0;
}

void xsavec64(void *area, u64 rfbm)
{
	save_compacted(area, rfbm & this()->xcr0, false);
}

int try_xsaves64(void *area, u64 rfbm)
{
	return save_compacted(area, rfbm & FEATURES(this()), true);
}

void xsaves64(void *area, u64 rfbm)
{
	try_xsaves64(area, rfbm);
}

/* --- Restoring --- */

static const struct xsave_area reset_x87 = { .fcw = FCW_INIT };

static bool reserved_set(const struct xsave_area *area, u32 first)
{
	for (u32 i = first; i < ARRAY_SIZE(area->header_reserved); i++)
		if (area->header_reserved[i])
			return true;
	return false;
}

static bool compacted_image_valid(const struct xsave_area *a, u64 enabled, u64 loaded)
{
	return !(a->xcomp_bv & ~XCOMP_COMPACTED & ~enabled) && !(a->xstate_bv & ~(a->xcomp_bv & ~XCOMP_COMPACTED)) &&
	       !reserved_set(a, 0) && !(loaded >> XF_SSE & 1 && a->mxcsr & ~REGFILE_MXCSR_MASK);
}

/* Of the reserved bytes, the standard form looks at the first eight only. */
static bool standard_image_valid(const struct xsave_area *a, u64 enabled, u64 rfbm)
{
	return !a->xcomp_bv && !(a->xstate_bv & ~enabled) && !a->header_reserved[0] &&
	       !(LOADS_MXCSR(rfbm) && a->mxcsr & ~REGFILE_MXCSR_MASK);
}

/* 48-bit linear addresses. */
static bool canonical_address(u64 address)
{
	return address < BIT(47) || address >= -BIT(47);
}

/* Of PASID and CET_U: reserved bits, and the addresses of the legacy bitmap and the shadow stack. */
static bool supervisor_values_valid(const struct xsave_area *a, u64 loaded)
{
	u64 value[2];

	if (loaded >> XF_PASID & 1) {
		memcpy(value, component_at(a, a->xcomp_bv, XF_PASID), 8);
		if (value[0] & 0xffffffff7ff00000)
			return false;
	}
	if (loaded >> XF_CET_U & 1) {
		memcpy(value, component_at(a, a->xcomp_bv, XF_CET_U), 16);
		if (value[0] & 0x3c0 || (value[0] & 0xc00) == 0xc00 || value[1] & 3 ||
		    !canonical_address(value[0]) || !canonical_address(value[1]))
			return false;
	}
	return true;
}

static void get(struct regfile_cpu *cpu, const struct xsave_area *area, u32 feature)
{
	u32 mask = cpu->legacy.mxcsr_mask;

	if (feature == XF_X87) {
		move_x87(&cpu->legacy, area);
	} else if (feature == XF_SSE) {
		cpu->legacy.mxcsr = area->mxcsr;
		cpu->legacy.mxcsr_mask = mask;
		memcpy(cpu->legacy.xmm, area->xmm, sizeof(area->xmm));
	} else {
		memcpy(cpu->value[feature], component_at(area, area->xcomp_bv, feature),
		       feature == XF_PKRU ? 4 : components[feature].size);
	}
}

/* Component after component; torn_after may stop it half-way, once. */
static int load_components(struct regfile_cpu *cpu, const struct xsave_area *a, u64 rfbm, u64 loaded)
{
	int left = regfile.knobs.torn_after;

	for (u32 i = 0; i < XF_COUNT; i++) {
		if (!(rfbm >> i & 1))
			continue;
		if (!left--) {
			regfile.knobs.torn_after = -1;
			return fault(EXC_GP);
		}
		if (loaded >> i & 1)
			get(cpu, a, i);
		else if (i == XF_X87)
			move_x87(&cpu->legacy, &reset_x87);
		else
			set_initial(cpu, i);
	}
	return 0;
}

/* Using a disarmed component: #NM, and IA32_XFD_ERR says which. Initialising one is allowed. */
static bool disarmed(struct regfile_cpu *cpu, u64 loaded)
{
	if (loaded & cpu->xfd)
		cpu->xfd_err = loaded & cpu->xfd;
	return loaded & cpu->xfd;
}

static int load_image(const struct xsave_area *a, u64 rfbm, u64 enabled, bool supervisor)
{
	struct regfile_cpu *cpu = this();
	bool compacted;
	u64 loaded;
	u32 mxcsr = cpu->legacy.mxcsr;
	int vector = area_fault(a, (const u8 *)a + XSAVE_EXTENDED);

	cpu->xmodified = ~0ul; /* whatever happens, the last restore no longer describes the registers */
	if (vector)
		return fault(vector);
	rfbm &= enabled;
	loaded = rfbm & a->xstate_bv;
	compacted = a->xcomp_bv & XCOMP_COMPACTED;
	if ((supervisor && !compacted) || !(compacted ? compacted_image_valid(a, enabled, loaded) :
							standard_image_valid(a, enabled, rfbm)))
		return fault(EXC_GP);
	vector = area_fault(a, end_of(a, a->xcomp_bv, compacted ? rfbm & a->xcomp_bv : rfbm));
	if (vector)
		return fault(vector);
	if (disarmed(cpu, loaded))
		return fault(EXC_NM);
	if (!supervisor_values_valid(a, loaded))
		return fault(EXC_GP);
	if (load_components(cpu, a, rfbm, loaded))
		return -1;
	if (!compacted)
		cpu->legacy.mxcsr = LOADS_MXCSR(rfbm) ? a->mxcsr : mxcsr;
	cpu->restored_from = a;
	cpu->restored_xcomp_bv = a->xcomp_bv;
	cpu->xmodified = ~rfbm;
	return 0;
}

int xrstor64(const void *area, u64 rfbm)
{
	return load_image(area, rfbm, this()->xcr0, false);
}

int xrstors64(const void *area, u64 rfbm)
{
	return load_image(area, rfbm, FEATURES(this()), true);
}
