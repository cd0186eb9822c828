/*
 * Kernel stacks: slots of twice the stack's size whose lower half is never mapped, so that an overflow
 * faults at once instead of overwriting a neighbour. Stacks of ended tasks are kept mapped for the next
 * ones up to a limit. The page tables of all slots are made at boot, so that the number of free pages
 * does not depend on how many tasks there once were.
 */
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"

#define SLOT_SIZE (2 * KSTACK_SIZE)
#define MAX_CACHED 32

static struct spinlock lock;
static u16 free_slots[MAX_TASKS], cached_slots[MAX_CACHED];
static u32 nfree, ncached;

static u64 slot_top(u32 slot)
{
	return KSTACK_AREA + (slot + 1) * SLOT_SIZE;
}

void kstack_init(void)
{
	for (u32 slot = MAX_TASKS; slot--;) {
		free_slots[nfree++] = (u16)slot;
		kernel_pte(slot_top(slot) - PAGE_SIZE);
	}
}

static void unmap_stack(u64 top)
{
	for (u64 va = top - KSTACK_SIZE; va < top; va += PAGE_SIZE) {
		u64 *pte = kernel_pte(va);

		if (*pte)
			page_put(phys_to_page(*pte & PTE_ADDRESS));
		*pte = 0;
		invlpg(va);
	}
}

static bool map_stack(u64 top)
{
	for (u64 va = top - KSTACK_SIZE; va < top; va += PAGE_SIZE) {
		struct page *page = page_alloc();

		if (!page) {
			unmap_stack(top);
			return false;
		}
		/* Cleared, for it may have held program text: QEMU's translator is slow on stores to such a page. */
		clear_page(page_address(page));
		*kernel_pte(va) = page_to_phys(page) | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
	}
	return true;
}

u64 kstack_alloc(void)
{
	u64 flags = spin_lock_irq(&lock), top = 0;

	if (ncached) {
		top = slot_top(cached_slots[--ncached]);
	} else if (nfree) {
		top = slot_top(free_slots[--nfree]);
		if (!map_stack(top)) {
			nfree++;
			top = 0;
		}
	}
	spin_unlock_irq(&lock, flags);
	return top;
}

void kstack_free(u64 top)
{
	u64 flags = spin_lock_irq(&lock);
	u16 slot = (u16)((top - KSTACK_AREA) / SLOT_SIZE - 1);

	if (ncached < MAX_CACHED) {
		cached_slots[ncached++] = slot;
	} else {
		unmap_stack(top);
		free_slots[nfree++] = slot;
	}
	spin_unlock_irq(&lock, flags);
}

u64 kstack_cached_pages(void)
{
	return ncached * (KSTACK_SIZE / PAGE_SIZE);
}

bool kstack_guard_hit(u64 va)
{
	return va >= KSTACK_AREA && va < KSTACK_AREA + MAX_TASKS * SLOT_SIZE &&
	       (va - KSTACK_AREA) % SLOT_SIZE < KSTACK_SIZE;
}
