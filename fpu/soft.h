/*
 * The model: XSAVES, XRSTORS, XSAVEC, the compacted form of XRSTOR and XGETBV(1) in C, on top of the XSAVE
 * and XRSTOR that every CPU has, for machines whose CPU lacks them and for whoever wants to step through
 * them. It follows the operation sections of the manual (volume 1, 13.7 to 13.12) and is proven against the
 * real instructions (tests/host/soft.c, tests/ring0).
 *
 * Differences that the manual allows: whether a component is in use is decided by its value, and nothing is
 * remembered from one call to the next, so there is no modified optimisation.
 *
 * Every call must be made where nothing can interrupt that also calls the model: the scratch area is one a
 * CPU. While CR0.TS is set a save and a restore raise #NM, as the instructions do.
 */
#ifndef FPU_SOFT_H
#define FPU_SOFT_H

#include "fpu/amx.h"
#include "fpu/xstate.h"

/* The vectors of the faults that an instruction would have raised. */
#define SOFT_NM 7
#define SOFT_GP 13

struct soft_cpu;

/* The registers of one component that XSAVE and XRSTOR don't reach. Initial state: all zero. */
struct soft_component {
	/* As XSAVES, with its side effects if it has any; false, and nothing is written, if they are initial. */
	bool (*save)(struct soft_cpu *cpu, u64 *image);
	/* False where XRSTORS raises #GP instead of loading the image. */
	bool (*valid)(const struct soft_cpu *cpu, const u64 *image);
	/* NULL: they become initial. */
	void (*load)(struct soft_cpu *cpu, const u64 *image);
};

struct soft_cpu {
	const struct xstate_layout *layout;
	u64 real_xcr0; /* the real one's value: what XSAVE and XRSTOR reach */
	u64 xcr0; /* the soft XCR0: that, and the tiles if they are enabled */
	u64 xss;  /* the soft IA32_XSS; every bit here or in xcr0 alone has an entry in component[] */
	u64 xfd, xfd_err; /* the soft IA32_XFD and IA32_XFD_ERR */
	u64 pasid; /* the soft IA32_PASID */
	bool keeps_fip; /* the real XRSTOR leaves FOP, FIP and FDP alone unless an x87 exception is pending: AMD's
			   before family 17h, none of which has XSAVES */
	u32 mxcsr_mask; /* the MXCSR bits that this CPU has */
	struct xsave_area *scratch;
	const struct soft_component *component[XF_COUNT];
	struct amx_registers tiles;
};

extern const struct soft_component soft_pasid, soft_tilecfg, soft_tiledata; /* live in soft_cpu */
extern const struct soft_component soft_cet_u; /* real: the MSRs of a CPU with CET */

/*
 * Turns the layout of the CPU into that of the modelled one: adds PASID, tiles and XFD, leaves out the supervisor
 * components that the model does not know, and offers the compacted instructions.
 */
void soft_extend_layout(struct xstate_layout *layout);

/*
 * XCR0 must be set. scratch: xstate_standard_size(layout, xcr0) bytes, aligned to 64, this CPU's own. The
 * layout must live as long as cpu. The soft XCR0 is the real one's value; the soft IA32_XSS and IA32_XFD are 0 as
 * after reset.
 */
void soft_init(struct soft_cpu *cpu, const struct xstate_layout *layout, u64 xcr0, void *scratch);

/*
 * XSAVES, XSAVEC, XRSTORS, and XRSTOR of a compacted image: 0, or SOFT_GP with nothing changed, or SOFT_NM if a
 * component would be loaded that XFD disables: IA32_XFD_ERR says which.
 */
int soft_xsaves(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm);
int soft_xsavec(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm);
int soft_xrstors(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm);
int soft_xrstor_compacted(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm);

/* XGETBV(1): the enabled user components that are not in their initial state. */
u64 soft_xinuse(struct soft_cpu *cpu);

#endif
