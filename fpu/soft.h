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

#include "fpu/xstate.h"

#define SOFT_GP 13 /* the vector of the fault that an instruction would have raised */

/* No supervisor component that the model knows is larger than that. */
#define SOFT_IMAGE_QWORDS 8

struct soft_cpu;

/* The registers of one supervisor component; XSAVE and XRSTOR don't reach them. Initial state: all zero. */
struct soft_component {
	/* The registers' values into image, as XSAVES does it, with its side effects if it has any. */
	void (*save)(struct soft_cpu *cpu, u64 *image);
	/* False where XRSTORS raises #GP instead of loading the image. */
	bool (*valid)(const struct soft_cpu *cpu, const u64 *image);
	void (*load)(struct soft_cpu *cpu, const u64 *image);
};

struct soft_cpu {
	const struct xstate_layout *layout;
	u64 xcr0; /* the real one's value */
	u64 xss;  /* the soft IA32_XSS: only bits with an entry in supervisor[] */
	u64 pasid; /* the soft IA32_PASID */
	u32 mxcsr_mask; /* the MXCSR bits that this CPU has */
	struct xsave_area *scratch;
	const struct soft_component *supervisor[XF_COUNT];
};

extern const struct soft_component soft_pasid; /* lives in soft_cpu */
extern const struct soft_component soft_cet_u; /* real: the MSRs of a CPU with CET */

/*
 * Turns the layout of the CPU into that of the modelled one: adds PASID, leaves out the supervisor
 * components that the model does not know, and offers the compacted instructions.
 */
void soft_extend_layout(struct xstate_layout *layout);

/*
 * XCR0 must be set. scratch: xstate_standard_size(layout, xcr0) bytes, aligned to 64, this CPU's own. The
 * layout must live as long as cpu. The soft IA32_XSS is 0 as after reset.
 */
void soft_init(struct soft_cpu *cpu, const struct xstate_layout *layout, u64 xcr0, void *scratch);

/* XSAVES, XSAVEC, XRSTORS, and XRSTOR of a compacted image: 0, or SOFT_GP with nothing changed. */
int soft_xsaves(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm);
int soft_xsavec(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm);
int soft_xrstors(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm);
int soft_xrstor_compacted(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm);

/* XGETBV(1): the enabled user components that are not in their initial state. */
u64 soft_xinuse(struct soft_cpu *cpu);

#endif
