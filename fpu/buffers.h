/*
 * Where a large fpstate lies, one with room for tile data: three pages, which nobody may ask the page allocator for in
 * one piece. Four strategies, those of seed 004, behind one interface, chosen at boot (fpbuf=):
 *
 *   vmalloc  pages mapped contiguously in the kernel's address space; at the end all CPUs must forget them
 *   cache    the same, but a buffer that is given back is kept mapped for the next task, up to a limit
 *   copy     scattered pages, and an area of each CPU's own that values pass through, copied
 *   map      scattered pages, mapped contiguously at an address of each CPU's own while they are saved or loaded
 *
 * Small fpstates know nothing of this: an area's XCOMP_BV says what it is. All that is not tile data lies in a large
 * one's first page, which context->fpstate points to under every strategy; only what may touch tile data must go through
 * fpu_image_save and its like (image.h), or piece by piece.
 */
#ifndef FPU_BUFFERS_H
#define FPU_BUFFERS_H

#include "fpu/context.h"
#include "kernel/memory.h"

struct fpu_buffers {
	const char *name;
	/* Of full size, not cleared; NULL when memory is out. Free: where one may wait for other CPUs. */
	struct xsave_area *(*alloc)(void);
	void (*free)(struct xsave_area *area);
	/*
	 * Scattered pages only: what XSAVES or XRSTORS is given instead of the area, for one of the two, and the end of
	 * that. load: with the area's values; saved: it has new ones. Where verbs may be called (verbs.h).
	 */
	struct xsave_area *(*open)(struct fpu_cpu *cpu, struct xsave_area *area, bool load);
	void (*close)(struct fpu_cpu *cpu, struct xsave_area *area, bool saved);
};
extern struct fpu_buffers fpu_buffers;

/* Boot, once fpu_config is complete; then each CPU for itself. False: memory is out. */
void fpu_buffers_init(void);
bool fpu_buffers_init_cpu(struct fpu_cpu *cpu);

/* A large fpstate. Preemptible; free with interrupts on. */
struct xsave_area *fpu_buffer_alloc(void);
void fpu_buffer_free(struct xsave_area *area);

/* Large fpstates that tasks have; bytes in those and in what waits for the next task or belongs to a CPU. */
u64 fpu_buffers_held(void);
u64 fpu_buffers_bytes(void);
u64 fpu_buffers_cached_pages(void);

static inline bool fpu_is_large(const struct xsave_area *area)
{
	return area->xcomp_bv & XFM(XF_TILEDATA);
}

/* life.c: of either size, with initial values, by the components that it has room for. NULL when memory is out. */
struct xsave_area *fpu_fpstate_alloc(u64 features);
void fpu_fpstate_free(struct xsave_area *area);

/* Where the bytes of an fpstate from an offset on are, and how many of size lie together there. */
static inline void *fpu_piece(const struct xsave_area *area, u32 offset, u32 size, u32 *together)
{
	u32 page = offset / PAGE_SIZE, within = offset % PAGE_SIZE;

	*together = size;
	if (!fpu_buffers.open || !fpu_is_large(area))
		return (u8 *)area + offset;
	*together = MIN(size, (u32)PAGE_SIZE - within);
	return (u8 *)(page ? area->more.page[page - 1] : area) + within;
}

#endif
