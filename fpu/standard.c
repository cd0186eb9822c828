/*
 * Between the compacted fpstate and the standard format; see standard.h. Bytes are moved under fpregs_lock, after the
 * verb that makes memory valid, or that gives it to the kernel (door.h). Offsets come from the layout, in the compacted
 * format by the XCOMP_BV of that very area (museum entry 23).
 */
#include "fpu/buffers.h"
#include "fpu/door.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/standard.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/string.h"

#define ST_BYTES 10 /* of the 16 that a data register's place has */

#define NEEDS_MXCSR (XFM(XF_SSE) | XFM(XF_AVX))

u32 fpu_standard_size(void)
{
	return fpu_config.full_image_size;
}

u32 fpu_standard_size_of(const struct fpu_task *task)
{
	return task->user.xfd ? fpu_config.image_size : fpu_config.full_image_size;
}

u64 fpu_standard_features(const struct fpu_task *task)
{
	return fpu_config.xcr0 & ~task->user.xfd;
}

/* --- Components --- */

static void *standard(const struct xsave_area *area, u32 feature)
{
	return (u8 *)area + fpu_config.layout.component[feature].offset;
}

/* One component beyond the legacy region, between a standard image and an fpstate, where it may lie in pieces. */
static void move_component(const struct xsave_area *image, const struct xsave_area *fpstate, u32 feature, bool to_image)
{
	u32 at = xstate_compact_offset(&fpu_config.layout, fpstate->xcomp_bv, feature), together;
	u32 end = at + fpu_config.layout.component[feature].size;
	u8 *bytes = standard(image, feature);

	for (; at < end; at += together, bytes += together) {
		void *piece = fpu_piece(fpstate, at, end - at, &together);

		memcpy(to_image ? bytes : piece, to_image ? piece : bytes, together);
	}
}

static void copy_x87(struct xsave_area *to, const struct xsave_area *from)
{
	memcpy(to, from, offsetof(struct xsave_area, mxcsr));
	memcpy(to->st, from->st, sizeof(to->st));
	to->reserved0 = 0;
	for (u32 i = 0; i < ARRAY_SIZE(to->st); i++)
		__builtin_memset(to->st[i] + ST_BYTES, 0, sizeof(to->st[i]) - ST_BYTES);
}

static void copy_legacy(struct xsave_area *to, const struct xsave_area *from, u64 features)
{
	if (features & XFM(XF_X87))
		copy_x87(to, from);
	if (features & XFM(XF_SSE)) {
		to->mxcsr = from->mxcsr;
		memcpy(to->xmm, from->xmm, sizeof(to->xmm));
	}
}

/* Those beyond the legacy region. */
static u64 extended(u64 features)
{
	return features & fpu_config.xcr0 & fpu_config.mask & ~XFM_LEGACY;
}

/* --- Reading --- */

/* Everything in its initial state: what is not in use must read so, whatever lies in the fpstate (entries 19, 22). */
static void start_image(struct xsave_area *image, u32 size)
{
	memset(image, 0, size);
	image->fcw = FCW_INIT;
	image->mxcsr = MXCSR_INIT;
	image->mxcsr_mask = fpu_config.mxcsr_mask;
}

static void gather(struct xsave_area *image, const struct xsave_area *fpstate)
{
	u64 features = fpstate->xstate_bv;

	copy_legacy(image, fpstate, features);
	for (u64 rest = extended(features); rest; rest &= rest - 1)
		move_component(image, fpstate, (u32)__builtin_ctzl(rest), true);
	image->xstate_bv = features & fpu_config.xcr0 & fpu_config.mask;
}

/* Whoever writes a component's bytes sets its bit (entry 29). */
static void insert_pkru(struct xsave_area *image, u32 pkru)
{
	memcpy(standard(image, XF_PKRU), &pkru, sizeof(pkru));
	if (pkru)
		image->xstate_bv |= XFM(XF_PKRU);
}

static void read_into(struct fpu_task *task, void *image, u32 size, enum fpu_event event)
{
	u64 flags;

	start_image(image, size);
	fpregs_lock();
	if (fpu_has_registers(task)) {
		if (fpu_is_running(task)) {
			flags = irq_save();
			fpregs_copy_to_memory(fpu_this_cpu(), task, event);
			irq_restore(flags);
		}
		gather(image, task->user.fpstate);
	}
	if (fpu_config.pku)
		insert_pkru(image, fpu_is_running(task) ? rdpkru() : task->user.pkru);
	fpregs_unlock();
}

void fpu_standard_read(struct fpu_task *task, void *image, enum fpu_event event)
{
	read_into(task, image, fpu_standard_size(), event);
}

void fpu_standard_read_own(struct fpu_task *task, void *image, enum fpu_event event)
{
	read_into(task, image, fpu_standard_size_of(task), event);
}

/* --- Writing --- */

long fpu_standard_check(const void *image, u64 allowed)
{
	const struct xsave_area *area = image;

	if (area->xstate_bv & ~(allowed & fpu_config.xcr0) || area->xcomp_bv)
		return -EINVAL;
	for (u32 i = 0; i < ARRAY_SIZE(area->header_reserved); i++)
		if (area->header_reserved[i])
			return -EINVAL;
	if (area->xstate_bv & (XFM_LEGACY | XFM(XF_AVX)) && area->mxcsr & ~fpu_config.mxcsr_mask)
		return -EINVAL;
	return 0;
}

/*
 * MXCSR is in use where SSE or AVX is, but the compacted format has it with SSE alone (entry 21): SSE is put in use,
 * with initial XMM registers.
 */
static u64 keep_mxcsr(struct xsave_area *fpstate, const struct xsave_area *image, u64 features)
{
	if (features & XFM(XF_SSE) || !(features & NEEDS_MXCSR) || image->mxcsr == MXCSR_INIT)
		return features;
	fpstate->mxcsr = image->mxcsr;
	memset(fpstate->xmm, 0, sizeof(fpstate->xmm));
	return features | XFM(XF_SSE);
}

static void scatter(struct xsave_area *fpstate, const struct xsave_area *image, u64 features)
{
	copy_legacy(fpstate, image, features);
	features = keep_mxcsr(fpstate, image, features);
	for (u64 rest = extended(features); rest; rest &= rest - 1)
		move_component(image, fpstate, (u32)__builtin_ctzl(rest), false);
	fpstate->xstate_bv = (fpstate->xstate_bv & ~fpu_config.xcr0) | (features & fpu_config.xcr0 & fpu_config.mask);
}

/* A cleared bit means the initial value, 0, and not the default (entry 26). */
static u32 extract_pkru(const struct xsave_area *image, u64 features)
{
	u32 pkru = 0;

	if (features & XFM(XF_PKRU))
		memcpy(&pkru, standard(image, XF_PKRU), sizeof(pkru));
	return pkru;
}

static void set_pkru(struct fpu_task *task, u32 pkru)
{
	if (!fpu_config.pku)
		return;
	task->user.pkru = pkru;
	if (fpu_is_running(task))
		wrpkru(pkru);
}

void fpu_standard_write(struct fpu_task *task, const void *image, u64 components, enum fpu_event event)
{
	const struct xsave_area *area = image;
	u64 features = area->xstate_bv & components & fpu_standard_features(task);

	fpregs_lock();
	if (fpu_has_registers(task)) {
		fpu_door_open(task, event);
		scatter(task->user.fpstate, area, features);
		fpu_door_close(task);
	}
	set_pkru(task, extract_pkru(area, features));
	fpregs_unlock();
}

void fpu_init_state(struct fpu_task *task, u32 pkru, enum fpu_event event)
{
	fpregs_lock();
	if (fpu_has_registers(task)) {
		fpu_door_open(task, event);
		task->user.fpstate->xstate_bv &= ~fpu_config.xcr0;
		fpu_door_close(task);
	}
	set_pkru(task, pkru);
	fpregs_unlock();
}
