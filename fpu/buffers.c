/*
 * The four strategies; see buffers.h. None of them may ever need two pages that lie together in memory.
 *
 * A CPU's own area (copy) and its own address (map) are used by every large context that passes by, so who may
 * overwrite what another still needs? Nobody, for they are needed between open and close only, where no other verb
 * can come on this CPU: interrupts are off, or a kernel section begins, in_kernel is set, and an interrupt that comes
 * must not begin another. In particular what lies in the area afterwards is nobody's: every load copies anew, also
 * for the context that was there last, which may have run on another CPU meanwhile (museum entry 41).
 *
 * With one exception, the modified optimisation: XSAVES may leave out what has not changed since the XRSTORS whose
 * address and XCOMP_BV it repeats, and relies on the area having it still. Here every large context repeats them. But
 * the CPU remembers the last XRSTORS alone. While a context is ACTIVE or CACHED on this CPU, nothing was loaded since
 * its own load, or its registers would not be valid; and whoever saves into the area is ACTIVE, so it is that same
 * context. Hence from its load to its last save nobody else has written the area, and the copy of it is complete,
 * unless the area were cleared after a save (entry 41c). (A first use makes a context large after its load: that was
 * from another address, and all of it is saved.)
 */
#include "fpu/buffers.h"
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "kernel/bootinfo.h"
#include "kernel/insn.h"
#include "kernel/shortage.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/vmap.h"

#define MOST_CACHED 16

struct fpu_buffers fpu_buffers;

static u32 npages;  /* of a large fpstate */
static u64 held, own_areas; /* by tasks; by CPUs, with pages of their own */

/* --- Contiguous addresses --- */

static struct xsave_area *vmalloc_alloc(void)
{
	return vmap_alloc();
}

static void vmalloc_free(struct xsave_area *area)
{
	vmap_free(area);
}

/* --- A cache in front of them --- */

static struct spinlock cache_lock;
static struct xsave_area *cached[MOST_CACHED];
static u32 ncached;

static struct xsave_area *cache_alloc(void)
{
	struct xsave_area *area = NULL;
	u64 flags = spin_lock_irq(&cache_lock);

	if (ncached)
		area = cached[--ncached];
	spin_unlock_irq(&cache_lock, flags);
	return area ? area : vmap_alloc();
}

static void cache_free(struct xsave_area *area)
{
	u64 flags = spin_lock_irq(&cache_lock);

	if (ncached < MOST_CACHED) {
		cached[ncached++] = area;
		area = NULL;
	}
	spin_unlock_irq(&cache_lock, flags);
	if (area)
		vmap_free(area);
}

/* --- Scattered pages --- */

static void free_scattered(struct xsave_area *area)
{
	struct xsave_pages more = area->more;

	for (u32 i = 0; i + 1 < npages && more.page[i]; i++)
		page_put(phys_to_page(virt_to_phys(more.page[i])));
	page_put(phys_to_page(virt_to_phys(area)));
}

static struct xsave_area *alloc_scattered(void)
{
	struct page *page = page_alloc();
	struct xsave_area *area = page ? page_address(page) : NULL;

	if (!area)
		return NULL;
	memset(area, 0, sizeof(*area));
	for (u32 i = 0; i + 1 < npages; i++) {
		if (!(page = page_alloc())) {
			free_scattered(area);
			return NULL;
		}
		area->more.page[i] = page_address(page);
	}
	return area;
}

static void copy_pages(struct xsave_area *area, struct xsave_area *own, bool to_area)
{
	u32 together;

	for (u32 at = 0; at < fpu_config.full_size; at += together) {
		void *piece = fpu_piece(area, at, fpu_config.full_size - at, &together);

		if (to_area)
			memcpy(piece, (u8 *)own + at, together);
		else
			memcpy((u8 *)own + at, piece, together);
	}
}

static struct xsave_area *copy_open(struct fpu_cpu *cpu, struct xsave_area *area, bool load)
{
	if (load) {
		copy_pages(area, cpu->window, false);
		cpu->counters.buffer_bytes += fpu_config.full_size;
	}
	return cpu->window;
}

/*
 * What XSAVES leaves alone is another context's in the CPU's own area, and must not come along: pages, the header's
 * rest. (Components that XSTATE_BV does not name may; nobody reads them.)
 */
static void copy_close(struct fpu_cpu *cpu, struct xsave_area *area, bool saved)
{
	if (!saved)
		return;
	cpu->window->more = area->more;
	memcpy(cpu->window->header_reserved, area->header_reserved, sizeof(area->header_reserved));
	copy_pages(area, cpu->window, true);
	cpu->counters.buffer_bytes += fpu_config.full_size;
}

static struct xsave_area *map_open(struct fpu_cpu *cpu, struct xsave_area *area, bool load)
{
	void *page[XSAVE_MORE_PAGES + 1] = { area };

	__builtin_memcpy(page + 1, &area->more, sizeof(area->more));
	vmap_fill(cpu->window, page);
	return cpu->window;
}

static void map_close(struct fpu_cpu *cpu, struct xsave_area *area, bool saved)
{
	vmap_empty(cpu->window);
}

/* --- Boot --- */

static const struct fpu_buffers strategies[] = {
	{ "cache", cache_alloc, cache_free, NULL, NULL },
	{ "vmalloc", vmalloc_alloc, vmalloc_free, NULL, NULL },
	{ "copy", alloc_scattered, free_scattered, copy_open, copy_close },
	{ "map", alloc_scattered, free_scattered, map_open, map_close },
};

void fpu_buffers_init(void)
{
	char wanted[16] = "cache";

	boot_option("fpbuf", wanted, sizeof(wanted));
	for (u32 i = 0; i < ARRAY_SIZE(strategies); i++)
		if (!strcmp(strategies[i].name, wanted))
			fpu_buffers = strategies[i];
	npages = (u32)(ALIGN_UP(fpu_config.full_size, PAGE_SIZE) / PAGE_SIZE);
	if (!fpu_buffers.name)
		fpu_broken("fpbuf= is none of vmalloc, cache, copy and map");
	if (fpu_config.size > PAGE_SIZE || npages > XSAVE_MORE_PAGES + 1)
		fpu_broken("components without tile data that a page does not hold, or too many with them");
	if (fpu_config.dynamic)
		vmap_init(npages);
}

/* Header and all cleared: no instruction writes the reserved bytes of a header. */
bool fpu_buffers_init_cpu(struct fpu_cpu *cpu)
{
	bool own_pages = fpu_buffers.open == copy_open;

	if (!fpu_config.dynamic || !fpu_buffers.open || cpu->window)
		return true;
	cpu->window = own_pages ? vmap_alloc() : vmap_reserve();
	if (cpu->window && own_pages) {
		memset(cpu->window, 0, npages * PAGE_SIZE);
		own_areas++;
	}
	return cpu->window;
}

struct xsave_area *fpu_buffer_alloc(void)
{
	struct xsave_area *area = shortage_now() ? NULL : fpu_buffers.alloc();

	if (area)
		__atomic_fetch_add(&held, 1, __ATOMIC_RELAXED);
	return area;
}

void fpu_buffer_free(struct xsave_area *area)
{
	__atomic_fetch_sub(&held, 1, __ATOMIC_RELAXED);
	fpu_buffers.free(area);
}

u64 fpu_buffers_held(void)
{
	return held;
}

u64 fpu_buffers_cached_pages(void)
{
	return ncached * npages;
}

u64 fpu_buffers_bytes(void)
{
	return (held + ncached + own_areas) * npages * PAGE_SIZE;
}
