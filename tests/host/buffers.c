/*
 * buffers.c - the tests of tiles.c once more, with scattered fpstates that pass through an area of each CPU's own
 * (fpbuf=copy), on registers whose XSAVES leaves out what has not changed since XRSTORS from the same address. Fails if
 * the area has been written by anybody in between, or is taken for a context's that was loaded elsewhere since.
 */
#define SCATTERED
#include "door_machine.h"

#include "kernel/memory.h"
#include "kernel/shortage.h"
#include "kernel/vmap.h"

/* Pages that are sure not to lie together: other allocations of the host are between them. */
static u32 pages;

static struct page *any_page(void)
{
	pages++;
	return aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

static void give_page(struct page *page)
{
	pages--;
	free(page);
}

#define page_alloc any_page
#define page_put give_page
#define page_address(page) ((void *)(page))
#define virt_to_phys(address) ((u64)(address))
#define phys_to_page(address) ((struct page *)(address))
#define KERNEL_SPINLOCK_H
#define spin_lock_irq(lock) ((void)(lock), 0)
#define spin_unlock_irq(lock, flags) ((void)(lock), (void)(flags))
struct spinlock {
	u32 locked;
};

struct shortage shortage;

bool shortage_strikes(void)
{
	return false;
}

/* --- Each CPU's own area --- */

static _Alignas(PAGE_SIZE) u8 own[REGFILE_CPUS][REGFILE_AREA];
static u32 nown;

void vmap_init(u32 npages)
{
	assert_true(npages * PAGE_SIZE <= REGFILE_AREA);
	nown = 0;
}

void *vmap_alloc(void)
{
	return own[nown++ % REGFILE_CPUS];
}

void *vmap_reserve(void)
{
	return NULL;
}

void vmap_free(void *range)
{
}

void vmap_fill(void *range, void *const *scattered)
{
}

void vmap_empty(void *range)
{
}

#include "fpu/buffers.c"

static void scatter_fpstates(void)
{
	update_option = "copy";
	fpu_buffers_init();
	for (u32 i = 0; i < REGFILE_CPUS; i++)
		assert_true(fpu_buffers_init_cpu(&cpus[i]));
	regfile.knobs.modified = true;
	assert_int_equal(pages, 0);
}

#include "tiles.c"
