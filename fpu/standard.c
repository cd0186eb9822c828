/* Stand-in until branch doors is merged. */
#include "fpu/cpu.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/setup.h"
#include "fpu/standard.h"
#include "fpu/verbs.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/string.h"

u32 fpu_standard_size(void)
{
	return xstate_standard_size(&fpu_config.layout, fpu_config.xcr0);
}

static void copy_component(struct xsave_area *to, u32 to_off, const struct xsave_area *from, u32 from_off, u32 i)
{
	if (i == XF_X87) {
		memcpy(to, from, 24);
		memcpy(to->st, from->st, sizeof(to->st));
	} else if (i == XF_SSE) {
		memcpy(to->xmm, from->xmm, sizeof(to->xmm));
		to->mxcsr = from->mxcsr;
	} else {
		memcpy((u8 *)to + to_off, (const u8 *)from + from_off, fpu_config.layout.component[i].size);
	}
}

void fpu_standard_read(struct fpu_task *task, void *image, enum fpu_event event)
{
	struct xsave_area *to = image, *from = task->active->fpstate;
	u64 flags;
	u32 keys;

	memset(to, 0, fpu_standard_size());
	to->fcw = FCW_INIT;
	to->mxcsr = MXCSR_INIT;
	to->mxcsr_mask = 0xffff;
	fpregs_lock();
	flags = irq_save();
	fpregs_copy_to_memory(fpu_this_cpu(), task, event);
	irq_restore(flags);
	for (u32 i = 0; i < XF_COUNT; i++) {
		if (!(fpu_config.xcr0 & XFM(i)) || i == XF_PKRU || !(from->xstate_bv & XFM(i)))
			continue;
		copy_component(to, fpu_config.layout.component[i].offset, from,
			       i < 2 ? 0 : xstate_compact_offset(&fpu_config.layout, from->xcomp_bv, i), i);
		to->xstate_bv |= XFM(i);
	}
	if (from->xstate_bv & (XFM(XF_SSE) | XFM(XF_AVX)))
		to->mxcsr = from->mxcsr;
	if (fpu_config.pku && (keys = rdpkru())) {
		memcpy((u8 *)to + fpu_config.layout.component[XF_PKRU].offset, &keys, 4);
		to->xstate_bv |= XFM(XF_PKRU);
	}
	fpregs_unlock();
}

long fpu_standard_check(const void *image, u64 allowed)
{
	const struct xsave_area *a = image;

	if (a->xstate_bv & ~allowed || a->xcomp_bv || a->mxcsr & ~0xffffu)
		return -EINVAL;
	for (u32 i = 0; i < 6; i++)
		if (a->header_reserved[i])
			return -EINVAL;
	return 0;
}

static void to_memory(struct fpu_task *task, enum fpu_event event)
{
	u64 flags = irq_save();

	fpregs_move_to_memory(fpu_this_cpu(), task, event);
	irq_restore(flags);
}

void fpu_standard_write(struct fpu_task *task, const void *image, u64 components, enum fpu_event event)
{
	struct xsave_area *to = task->active->fpstate;
	const struct xsave_area *from = image;
	u32 keys = 0;

	fpregs_lock();
	to_memory(task, event);
	for (u32 i = 0; i < XF_COUNT; i++) {
		if (!(components & XFM(i)) || i == XF_PKRU)
			continue;
		if (from->xstate_bv & XFM(i)) {
			copy_component(to, i < 2 ? 0 : xstate_compact_offset(&fpu_config.layout, to->xcomp_bv, i), from,
				       fpu_config.layout.component[i].offset, i);
			to->xstate_bv |= XFM(i);
		} else {
			to->xstate_bv &= ~XFM(i);
		}
	}
	to->mxcsr = MXCSR_INIT;
	if (from->xstate_bv & (XFM(XF_SSE) | XFM(XF_AVX))) {
		to->mxcsr = from->mxcsr;
		if (!(from->xstate_bv & XFM(XF_SSE))) {
			memset(to->xmm, 0, sizeof(to->xmm));
			to->xstate_bv |= XFM(XF_SSE);
		}
	}
	if (fpu_config.pku && components & XFM(XF_PKRU)) {
		if (from->xstate_bv & XFM(XF_PKRU))
			memcpy(&keys, (const u8 *)from + fpu_config.layout.component[XF_PKRU].offset, 4);
		wrpkru(keys);
	}
	fpregs_unlock();
}

void fpu_init_state(struct fpu_task *task, u32 pkru, enum fpu_event event)
{
	fpregs_lock();
	if (fpu_has_registers(task)) {
		to_memory(task, event);
		task->active->fpstate->xstate_bv &= fpu_config.layout.supervisor;
		task->active->fpstate->mxcsr = MXCSR_INIT;
		task->active->fpstate->fcw = FCW_INIT;
	}
	if (fpu_config.pku)
		wrpkru(pkru);
	fpregs_unlock();
}
