/*
 * Moving register values between a CPU and a memory image, by the mechanism that was chosen at boot: the real
 * XSAVES and XRSTORS (native), or the model of them (soft). One mechanism per boot, for all components. Called
 * where the verbs may be called (verbs.h).
 */
#ifndef FPU_IMAGE_H
#define FPU_IMAGE_H

#include "fpu/context.h"

/* What the machine works with; set once at boot. */
struct fpu_config {
	struct xstate_layout layout;
	u64 xcr0, xss;	/* enabled components (with soft, xss is the model's) */
	u64 features;	/* both together */
	u64 mask;	/* what is saved and loaded: all but PKRU, which is switched by RDPKRU and WRPKRU. Save and
			   load use the same mask, as the modified optimisation wants (manual, volume 1, 13.8) */
	u64 ungated;	/* those in the mask that CR0.TS does not protect: all but x87, SSE, AVX, AVX-512 */
	u32 size;	/* of an fpstate, bytes */
	u32 mxcsr_mask; /* the MXCSR bits that this CPU has */
	bool native, pku;
	bool defers;	/* the policy loads at the return to user mode: a load not needed there is one avoided */
};
extern struct fpu_config fpu_config;

/* CR0.TS with its shadow. Every load and section clears it first: hardware faults where QEMU would not. */
void fpu_set_ts(struct fpu_cpu *cpu);
void fpu_clear_ts_slow(struct fpu_cpu *cpu);

static inline void fpu_clear_ts(struct fpu_cpu *cpu)
{
	if (unlikely(cpu->ts))
		fpu_clear_ts_slow(cpu);
}

/* Saves all components of the mask; the registers stay as they are. CR0.TS is clear: user code has used them. */
void fpu_image_save(struct fpu_cpu *cpu, struct xsave_area *area);

/*
 * Loads every component of the mask, so that nothing of the last owner survives; components that are not in
 * XSTATE_BV become initial. False if the image is not loadable: the registers are initial then.
 */
bool fpu_image_load(struct fpu_cpu *cpu, const struct xsave_area *area);

/* Loads that one component alone, or makes it initial. False as above. */
bool fpu_image_load_component(struct fpu_cpu *cpu, const struct xsave_area *area, u32 feature);

/* The registers become initial. */
void fpu_image_load_init(struct fpu_cpu *cpu);

/* The image becomes that of initial state. */
void fpu_image_reset(struct xsave_area *area);

/* The PASID in the registers; a valid one to put there. */
u64 fpu_pasid(const struct fpu_cpu *cpu);
void fpu_set_pasid(struct fpu_cpu *cpu, u64 pasid);

/* True if a component that TS does not gate is not in its initial state in the registers. */
bool fpu_ungated_in_use(struct fpu_cpu *cpu);

#endif
