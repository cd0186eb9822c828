/* The arithmetic of XSAVE areas; see xstate.h. Never allocates, never executes an FPU instruction. */
#include "fpu/xstate.h"
#include "kernel/insn.h"
#include "kernel/string.h"

#define LEAF 0xd
#define SUBLEAF1_XSAVEOPT BIT(0)
#define SUBLEAF1_XSAVEC BIT(1)
#define SUBLEAF1_XGETBV1 BIT(2)
#define SUBLEAF1_XSAVES BIT(3)
#define SUBLEAF1_XFD BIT(4)
#define COMPONENT_SUPERVISOR BIT(0)
#define COMPONENT_ALIGN64 BIT(1)
#define COMPONENT_XFD BIT(2)

static const char *const names[XF_COUNT] = {
	"x87", "SSE", "AVX", "BNDREGS", "BNDCSR", "opmask", "ZMM_Hi256", "Hi16_ZMM", "PT", "PKRU",
	"PASID", "CET_U", "CET_S", "HDC", "UINTR", "LBR", "HWP", "TILECFG", "TILEDATA",
};

const char *xstate_name(u32 feature)
{
	return feature < XF_COUNT ? names[feature] : "unknown";
}

static void probe_component(struct xstate_layout *layout, u32 feature, cpuid_fn cpuid)
{
	struct cpuid_regs r = cpuid(LEAF, feature);
	struct xstate_component *c = &layout->component[feature];
	bool supervisor = r.ecx & COMPONENT_SUPERVISOR;

	/* A component without a size, or a user one inside the legacy region, can't be saved: drop it. */
	if (!r.eax || (!supervisor && r.ebx < XSAVE_EXTENDED)) {
		layout->user &= ~BIT(feature);
		layout->supervisor &= ~BIT(feature);
		return;
	}
	*c = (struct xstate_component){
		.size = r.eax,
		.offset = supervisor ? 0 : r.ebx,
		.supervisor = supervisor,
		.align64 = r.ecx & COMPONENT_ALIGN64,
		.xfd = r.ecx & COMPONENT_XFD,
	};
}

void xstate_probe(struct xstate_layout *layout, cpuid_fn cpuid)
{
	struct cpuid_regs main = cpuid(LEAF, 0), sub1 = cpuid(LEAF, 1);

	memset(layout, 0, sizeof(*layout));
	layout->user = ((u64)main.edx << 32 | main.eax) & (BIT(XF_COUNT) - 1);
	layout->supervisor = ((u64)sub1.edx << 32 | sub1.ecx) & (BIT(XF_COUNT) - 1);
	layout->xsaveopt = sub1.eax & SUBLEAF1_XSAVEOPT;
	layout->xsavec = sub1.eax & SUBLEAF1_XSAVEC;
	layout->xgetbv1 = sub1.eax & SUBLEAF1_XGETBV1;
	layout->xsaves = sub1.eax & SUBLEAF1_XSAVES;
	layout->xfd = sub1.eax & SUBLEAF1_XFD;
	layout->reported_compact = sub1.ebx;
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if ((layout->user | layout->supervisor) & BIT(i))
			probe_component(layout, i, cpuid);
}

/* Bits that may only be set together. */
static u64 all_or_none(u64 value, u64 group)
{
	return (value & group) == group ? value : value & ~group;
}

u64 xstate_constrain_xcr0(u64 wanted)
{
	u64 value = wanted | XFM(XF_X87);

	if (!(value & XFM(XF_SSE)))
		value &= ~XFM(XF_AVX);
	if (!(value & XFM(XF_AVX)))
		value &= ~XFM_AVX512;
	value = all_or_none(value, XFM_AVX512);
	value = all_or_none(value, XFM_BOUND);
	return all_or_none(value, XFM_TILES);
}

/* Where the component after the ones below `end` would begin, or the area's end. */
static u32 place(const struct xstate_layout *layout, u64 features, u32 end)
{
	u32 at = XSAVE_EXTENDED;

	for (u32 i = XF_AVX; i < end; i++) {
		if (!(features & BIT(i)))
			continue;
		if (layout->component[i].align64)
			at = ALIGN_UP(at, XSAVE_ALIGN);
		at += layout->component[i].size;
	}
	return at;
}

u32 xstate_compact_offset(const struct xstate_layout *layout, u64 xcomp_bv, u32 feature)
{
	u32 at = place(layout, xcomp_bv, feature);

	return layout->component[feature].align64 ? ALIGN_UP(at, XSAVE_ALIGN) : at;
}

u32 xstate_compact_size(const struct xstate_layout *layout, u64 features)
{
	return place(layout, features, XF_COUNT);
}

u32 xstate_standard_size(const struct xstate_layout *layout, u64 features)
{
	u32 end = XSAVE_EXTENDED;

	for (features &= ~XFM_LEGACY; features; features &= features - 1) {
		const struct xstate_component *c = &layout->component[__builtin_ctzl(features)];

		end = MAX(end, c->offset + c->size);
	}
	return end;
}

void xstate_init_image(const struct xstate_layout *layout, struct xsave_area *area, u64 features)
{
	memset(area, 0, xstate_compact_size(layout, features));
	area->fcw = FCW_INIT;
	area->mxcsr = MXCSR_INIT;
	area->mxcsr_mask = MXCSR_MASK_DEFAULT;
	area->xcomp_bv = XCOMP_COMPACTED | features;
}
