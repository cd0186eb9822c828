/*
 * Kernel stacks: slots of twice the stack's size whose lower half is never mapped, so that an overflow
 * faults at once instead of overwriting a neighbour. Stacks of ended tasks are kept mapped for the next
 * ones up to a limit. The page tables of all slots are made at boot, so that the number of free pages
 * does not depend on how many tasks there once were.
 *
 * A stack beyond the limit gives its pages back at once, but other CPUs may still know where they were: its
 * slot is stale, and gets other pages only after all CPUs have forgotten the old ones. They are told when no
 * other slot is left, for a stack is freed where nobody may wait, and allocated where one may.
 */
#include "kernel/cpu.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/smp.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "sched/wait.h"

#define SLOT_SIZE (2 * KSTACK_SIZE)
#define MAX_CACHED 32

static struct spinlock lock;
static u16 free_slots[MAX_TASKS], stale_slots[MAX_TASKS], cached_slots[MAX_CACHED];
static u32 nfree, nstale, ncached;
static struct mutex recycling; /* one task frees stale slots */

static u64 slot_top(u32 slot)
{
	return KSTACK_AREA + (slot + 1) * SLOT_SIZE;
}

void kstack_init(void)
{
	mutex_init(&recycling);
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
	}
}

/* Kernel mappings are global: a new CR3 alone does not forget them. */
static void forget_all(void *arg)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 & ~CR4_PGE);
	write_cr3(read_cr3());
	write_cr4(cr4);
}

/* Only the slots that were stale before the CPUs were told are free afterwards; later ones lie behind them. */
static void free_stale_slots(void)
{
	u32 n = __atomic_load_n(&nstale, __ATOMIC_ACQUIRE);
	u64 flags;

	preempt_disable();
	smp_call(ALL_CPUS, forget_all, NULL);
	flags = spin_lock_irq(&lock);
	forget_all(NULL);
	memcpy(free_slots + nfree, stale_slots, n * sizeof(stale_slots[0]));
	memmove(stale_slots, stale_slots + n, (nstale - n) * sizeof(stale_slots[0]));
	nfree += n;
	nstale -= n;
	spin_unlock_irq(&lock, flags);
	preempt_enable();
}

static bool map_stack(u64 top)
{
	for (u64 va = top - KSTACK_SIZE; va < top; va += PAGE_SIZE) {
		struct page *page = page_alloc();

		if (!page) {
			unmap_stack(top); /* nobody has seen it */
			return false;
		}
		/* Cleared, for it may have held program text: QEMU's translator is slow on stores to such a page. */
		clear_page(page_address(page));
		*kernel_pte(va) = page_to_phys(page) | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
	}
	return true;
}

/* The top of a stack; 0 if there is no slot, or no memory for it. */
static u64 take_stack(bool *no_memory)
{
	u64 flags = spin_lock_irq(&lock), top = 0;

	if (ncached) {
		top = slot_top(cached_slots[--ncached]);
	} else if (nfree) {
		top = slot_top(free_slots[--nfree]);
		if (!map_stack(top)) {
			*no_memory = true;
			nfree++;
			top = 0;
		}
	}
	spin_unlock_irq(&lock, flags);
	return top;
}

u64 kstack_alloc(void)
{
	bool no_memory = false;
	u64 top = take_stack(&no_memory);

	if (likely(top) || no_memory)
		return top;
	mutex_lock(&recycling);
	top = take_stack(&no_memory); /* others may have freed slots meanwhile */
	if (!top && !no_memory) {
		free_stale_slots();
		top = take_stack(&no_memory);
	}
	mutex_unlock(&recycling);
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
		stale_slots[nstale++] = slot;
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
