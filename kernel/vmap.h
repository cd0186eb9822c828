/*
 * Contiguous kernel addresses for pages that lie anywhere: ranges of one size, each with an unmapped page behind it.
 * Changes to a range's pages are no secret that TLBs keep: who maps and unmaps says where it must be forgotten.
 */
#ifndef KERNEL_VMAP_H
#define KERNEL_VMAP_H

#include "kernel/types.h"

/* Ranges of so many pages from now on. At boot, once, before the first address space copies the top-level table. */
void vmap_init(u32 pages);

/* Addresses with nothing behind them, for good; NULL: none left. */
void *vmap_reserve(void);

/* A range with a page behind each address, not cleared; NULL when memory or ranges are out. Any context. */
void *vmap_alloc(void);

/*
 * Gives pages and addresses back, once all CPUs have forgotten them: the others are told by a message and waited for.
 * Interrupts on, no spin lock held.
 */
void vmap_free(void *range);

/* Behind the range are these pages (addresses in the direct map). Nobody has looked since it was last empty. */
void vmap_fill(void *range, void *const *pages);

/* Behind the range is nothing any more; this CPU forgets what was, and no other CPU has ever looked. */
void vmap_empty(void *range);

#endif
