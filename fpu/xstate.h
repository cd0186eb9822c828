/*
 * The layout of the extended state: which components there are, how large, and where each lies in an XSAVE
 * area. All of it comes from CPUID leaf 0Dh (manual, volume 1, 13.2), nothing from constants. Pure code, the
 * same in the kernel and in host tests.
 *
 * Two formats. Standard: every component at its own fixed offset; what programs see. Compacted: the
 * components named in XCOMP_BV one behind the other, so an offset depends on which others are in that buffer
 * (museum entry 23); what the kernel keeps.
 */
#ifndef FPU_XSTATE_H
#define FPU_XSTATE_H

#include "kernel/types.h"

/* State components: numbers are bit positions in XCR0 and IA32_XSS (manual, volume 1, 13.1). */
enum xfeature {
	XF_X87, XF_SSE, XF_AVX, XF_BNDREGS, XF_BNDCSR, XF_OPMASK, XF_ZMM_HI256, XF_HI16_ZMM, XF_PT, XF_PKRU,
	XF_PASID, XF_CET_U, XF_CET_S, XF_HDC, XF_UINTR, XF_LBR, XF_HWP, XF_TILECFG, XF_TILEDATA, XF_COUNT
};

#define XFM(feature) BIT(feature)
#define XFM_LEGACY (XFM(XF_X87) | XFM(XF_SSE))
#define XFM_AVX512 (XFM(XF_OPMASK) | XFM(XF_ZMM_HI256) | XFM(XF_HI16_ZMM))
#define XFM_BOUND (XFM(XF_BNDREGS) | XFM(XF_BNDCSR))
#define XFM_TILES (XFM(XF_TILECFG) | XFM(XF_TILEDATA))

#define XSAVE_LEGACY_SIZE 512
#define XSAVE_HEADER_SIZE 64
#define XSAVE_EXTENDED (XSAVE_LEGACY_SIZE + XSAVE_HEADER_SIZE) /* offset of the first component >= 2 */
#define XSAVE_ALIGN 64
#define XSAVE_MORE_PAGES 6
#define XCOMP_COMPACTED BIT(63)

/* Architectural initial values. PKRU's is 0, all keys open; the kernel's default is another thing. */
#define FCW_INIT 0x37f
#define MXCSR_INIT 0x1f80
#define MXCSR_MASK_DEFAULT 0xffbf

/* Component XF_PASID, that is IA32_PASID: a number, and whether there is one. Initial: 0. */
#define PASID_MASK 0xffffful
#define PASID_VALID BIT(31)

/* The legacy region (FXSAVE's 64-bit form) and the header: the fixed part of an XSAVE area. */
struct xsave_area {
	u16 fcw, fsw;
	u8 ftw, reserved0;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16];
	u8 xmm[16][16];
	u8 unused[48];
	struct xsave_pages { /* the software's to use (manual, volume 1, 13.4.1): of a scattered one, see buffers.h */
		void *page[XSAVE_MORE_PAGES];
	} more;
	u64 xstate_bv, xcomp_bv;
	u64 header_reserved[6];
	u8 extended[];
} __attribute__((aligned(XSAVE_ALIGN)));

struct xstate_component {
	u32 size;
	u32 offset;	 /* in the standard format; 0 for supervisor components, which are never in it */
	bool supervisor; /* enabled by IA32_XSS instead of XCR0 */
	bool align64;	 /* in the compacted format starts at a multiple of 64 */
	bool xfd;	 /* extended feature disable covers it */
};

struct xstate_layout {
	u64 user, supervisor; /* what the CPU has, as XCR0 and IA32_XSS bits */
	bool xsaveopt, xsavec, xgetbv1, xsaves, xfd; /* leaf 0Dh, sub-leaf 1, EAX */
	u32 reported_compact; /* the size that sub-leaf 1, EBX claims: to be compared, never used */
	struct xstate_component component[XF_COUNT];
};

typedef struct cpuid_regs (*cpuid_fn)(u32 leaf, u32 subleaf);

/* Reads the layout. Components whose sub-leaf makes no sense (size 0, beyond a page or two) are left out. */
void xstate_probe(struct xstate_layout *layout, cpuid_fn cpuid);

/*
 * The subset of wanted that XSETBV accepts: x87 always; AVX only with SSE; the three AVX-512 components all
 * or none, and only with AVX; the two bound components, and the two tile components, both or none.
 */
u64 xstate_constrain_xcr0(u64 wanted);

/* Offset of a component in a compacted area with that XCOMP_BV, which must have its bit. */
u32 xstate_compact_offset(const struct xstate_layout *layout, u64 xcomp_bv, u32 feature);
/* Sizes of an area that holds those components. */
u32 xstate_compact_size(const struct xstate_layout *layout, u64 features);
u32 xstate_standard_size(const struct xstate_layout *layout, u64 features);

/*
 * Makes area (of at least the compacted size for features) the image of initial state: every byte zero but
 * FCW, MXCSR and XCOMP_BV, so that each component reads right whether or not XSTATE_BV names it.
 */
void xstate_init_image(const struct xstate_layout *layout, struct xsave_area *area, u64 features);

/* "AVX" and so on, for the log and the tools. */
const char *xstate_name(u32 feature);

#endif
