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
	u64 xcr0, xss;	/* enabled components (with soft, the model's: tiles are not in the real XCR0) */
	u64 real_xcr0;
	u64 features;	/* both together */
	u64 dynamic;	/* those that XFD disables until a task uses them: its fpstate has no room for them before */
	u64 mask;	/* what is saved and loaded: all but PKRU, which is switched by RDPKRU and WRPKRU. Save and
			   load use the same mask, as the modified optimisation wants (manual, volume 1, 13.8) */
	u64 ungated;	/* those in the mask that CR0.TS does not protect: all but x87, SSE, AVX, AVX-512 */
	u32 size;	/* of an fpstate without the dynamic components, bytes */
	u32 full_size;	/* and with them */
	u32 image_size, full_image_size; /* likewise, of an image in the standard format */
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

/*
 * IA32_XFD with its shadow. It belongs to the context whose registers are saved or loaded next, and to the task that
 * runs: written at every switch, if it differs. The slow form writes in any case.
 */
void fpu_set_xfd_slow(struct fpu_cpu *cpu, u64 xfd);

static inline void fpu_set_xfd(struct fpu_cpu *cpu, u64 xfd)
{
	if (unlikely(cpu->xfd != xfd))
		fpu_set_xfd_slow(cpu, xfd);
}

/* IA32_XFD_ERR: what a #NM was about; read and cleared before anything else can run. 0: it was CR0.TS. */
u64 fpu_take_xfd_err(struct fpu_cpu *cpu);

/*
 * Saves the components that the area has room for; the registers stay as they are. CR0.TS is clear: user code has used
 * them.
 */
void fpu_image_save(struct fpu_cpu *cpu, struct xsave_area *area);

/*
 * Loads every component of the mask, so that nothing of the last owner survives; components that are not in
 * XSTATE_BV become initial. False if the image is not loadable: the registers are initial then.
 */
bool fpu_image_load(struct fpu_cpu *cpu, struct xsave_area *area);

/* Loads that one component alone, or makes it initial. False as above. */
bool fpu_image_load_component(struct fpu_cpu *cpu, struct xsave_area *area, u32 feature);

/* The registers become initial. */
void fpu_image_load_init(struct fpu_cpu *cpu);

/*
 * The image becomes that of initial state, with room for those components of the mask. Tile data are not cleared:
 * nobody reads what XSTATE_BV does not name.
 */
void fpu_image_reset(struct xsave_area *area, u64 features);

/* The PASID in the registers; a valid one to put there. */
u64 fpu_pasid(const struct fpu_cpu *cpu);
void fpu_set_pasid(struct fpu_cpu *cpu, u64 pasid);

/* True if a component that TS does not gate is not in its initial state in the registers. */
bool fpu_ungated_in_use(struct fpu_cpu *cpu);

/* The registers' part that keeps a CPU from deep sleep. Releasing makes it initial, behind the owner's back. */
bool fpu_tiles_in_use(const struct fpu_cpu *cpu);
void fpu_tiles_release(struct fpu_cpu *cpu);

#endif
