/*
 * See vmap.h. The page tables of all ranges are made at boot, so that the number of free pages does not depend on how
 * many ranges there once were. A range never crosses a page table. Must never hand out a range that some CPU's TLB may
 * still know something of.
 */
#include "fpu/cpu.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/smp.h"
#include "kernel/spinlock.h"
#include "kernel/vmap.h"

#define RANGES (MAX_TASKS + MAX_CPUS) /* each task has one at most, each CPU one of its own */
#define PTE_KERNEL_DATA (PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL)

static struct spinlock lock;
static u16 free_ranges[RANGES];
static u32 nfree, range_pages;
static u64 range_step;

void vmap_init(u32 pages)
{
	range_pages = pages;
	range_step = PAGE_SIZE;
	while (range_step < (pages + 1) * PAGE_SIZE)
		range_step *= 2;
	for (u32 i = RANGES; i--;) {
		free_ranges[nfree++] = (u16)i;
		kernel_pte(VMAP_AREA + i * range_step);
	}
}

void *vmap_reserve(void)
{
	u64 flags = spin_lock_irq(&lock), va = 0;

	if (nfree)
		va = VMAP_AREA + free_ranges[--nfree] * range_step;
	spin_unlock_irq(&lock, flags);
	return (void *)va;
}

static void release(void *range)
{
	u64 flags = spin_lock_irq(&lock);

	free_ranges[nfree++] = (u16)(((u64)range - VMAP_AREA) / range_step);
	spin_unlock_irq(&lock, flags);
}

/* The pages behind a range, that nobody can reach any more. */
static void take_pages(u64 *pte, u64 *taken)
{
	for (u32 i = 0; i < range_pages; i++) {
		taken[i] = pte[i] & PTE_ADDRESS;
		pte[i] = 0;
	}
}

static void free_pages(const u64 *taken)
{
	for (u32 i = 0; i < range_pages && taken[i]; i++)
		page_put(phys_to_page(taken[i]));
}

void *vmap_alloc(void)
{
	void *range = vmap_reserve();
	u64 *pte, taken[range_pages];

	if (!range)
		return NULL;
	pte = kernel_pte((u64)range);
	for (u32 i = 0; i < range_pages; i++) {
		struct page *page = page_alloc();

		if (!page) {
			take_pages(pte, taken); /* nobody has seen them */
			free_pages(taken);
			release(range);
			return NULL;
		}
		pte[i] = page_to_phys(page) | PTE_KERNEL_DATA;
	}
	return range;
}

/* In the TLB of the CPU that runs this. */
static void forget(void *range)
{
	for (u32 i = 0; i < range_pages; i++)
		invlpg((u64)range + i * PAGE_SIZE);
	fpu_this_cpu()->counters.invlpgs += range_pages;
}

static void forget_on_request(void *range)
{
	forget(range);
	fpu_this_cpu()->counters.shootdowns_taken++;
}

void vmap_free(void *range)
{
	struct fpu_counters *counters;
	u64 taken[range_pages];
	u32 told;

	preempt_disable();
	counters = &fpu_this_cpu()->counters;
	take_pages(kernel_pte((u64)range), taken);
	forget(range);
	told = smp_call(ALL_CPUS, forget_on_request, range);
	counters->shootdowns += told != 0;
	counters->shootdowns_sent += told;
	preempt_enable();
	free_pages(taken);
	release(range);
}

void vmap_fill(void *range, void *const *pages)
{
	u64 *pte = kernel_pte((u64)range);

	for (u32 i = 0; i < range_pages; i++)
		pte[i] = virt_to_phys(pages[i]) | PTE_KERNEL_DATA;
}

void vmap_empty(void *range)
{
	u64 *pte = kernel_pte((u64)range);

	for (u32 i = 0; i < range_pages; i++)
		pte[i] = 0;
	forget(range);
}
