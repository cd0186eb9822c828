/*
 * Address spaces: creating, copying for fork, tearing down, and the walks over their page tables. All walks
 * go by area and skip what has no level-1 table, so that their cost follows the pages that exist, not the
 * addresses. Pages of page tables hang on a list and are freed all at once at the end.
 */
#include "fpu/image.h"
#include "kernel/cpu.h"
#include "kernel/insn.h"
#include "kernel/mm.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/wq.h"

#define TABLE_SPAN (512 * PAGE_SIZE)
#define FLUSH_ALL_ABOVE (32 * PAGE_SIZE) /* reload CR3 instead of that many INVLPG */

static u64 *alloc_user_table(void *arg)
{
	struct mm *mm = arg;
	struct page *page = page_alloc();

	if (!page)
		return NULL;
	clear_page(page_address(page));
	list_add_before(&page->link, &mm->tables);
	return page_address(page);
}

struct mm *mm_create(void)
{
	struct mm *mm = kzalloc(sizeof(*mm));

	if (!mm)
		return NULL;
	list_init(&mm->vmas);
	list_init(&mm->tables);
	mutex_init(&mm->lock);
	mm->users = 1;
	mm->pkeys = fpu_config.pku; /* key 0 */
	mm->pml4 = alloc_user_table(mm);
	if (!mm->pml4) {
		kfree(mm);
		return NULL;
	}
	mm->cr3 = virt_to_phys(mm->pml4);
	for (u32 i = DIRECT_MAP_SLOT; i < 512; i++)
		mm->pml4[i] = kernel_pml4[i];
	return mm;
}

struct mm *mm_get(struct mm *mm)
{
	__atomic_fetch_add(&mm->users, 1, __ATOMIC_RELAXED);
	return mm;
}

bool mm_try_get(struct mm *mm)
{
	u32 users = __atomic_load_n(&mm->users, __ATOMIC_RELAXED);

	while (users)
		if (__atomic_compare_exchange_n(&mm->users, &users, users + 1, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

static void free_pages_of(struct mm *mm, const struct vma *vma);

void mm_on_cpus(struct mm *mm, void (*fn)(void *arg), void *arg)
{
	u64 flags, others;

	preempt_disable();
	flags = irq_save();
	fn(arg);
	irq_restore(flags);
	/*
	 * After the change of the tables: a CPU that takes them on later sees the change, the others are in the mask.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	others = mm->cpu_mask & ~BIT(this_cpu->id);
	if (unlikely(others))
		smp_call(others, fn, arg);
	preempt_enable();
}

static void leave(void *arg)
{
	struct mm *mm = arg;

	if (this_cpu->mm == mm) {
		mm_switch(&kernel_mm);
		ldt_switch(NULL);
	}
}

/* The dead address space's tables may still be in the CR3 of CPUs that borrow it: these leave it first. */
void mm_put(struct mm *mm)
{
	struct vma *vma, *next_vma;
	struct page *table, *next_table;

	if (__atomic_sub_fetch(&mm->users, 1, __ATOMIC_ACQ_REL))
		return;
	wq_leave(mm->wq);
	mm_on_cpus(mm, leave, mm);
	list_for_each_safe(vma, next_vma, &mm->vmas, link) {
		free_pages_of(mm, vma);
		vma_free(vma);
	}
	list_for_each_safe(table, next_table, &mm->tables, link) {
		list_del(&table->link);
		page_put(table);
	}
	ldt_free(mm->ldt);
	kfree(mm);
}

/* The level-1 table that covers va, or NULL. */
static u64 *mm_table(struct mm *mm, u64 va)
{
	u64 *table = mm->pml4;

	for (u32 shift = 39; shift > PAGE_SHIFT; shift -= 9) {
		u64 entry = table[va >> shift & 511];

		if (!(entry & PTE_PRESENT))
			return NULL;
		table = phys_to_virt(entry & PTE_ADDRESS);
	}
	return table;
}

u64 *mm_pte(struct mm *mm, u64 va)
{
	u64 *table = mm_table(mm, va);

	return table ? &table[va >> PAGE_SHIFT & 511] : table_entry(mm->pml4, va, 1, alloc_user_table, mm);
}

/* Runs the body with `pte` pointing to each entry of [from, to) that lies in an existing table. */
#define for_each_pte(mm, pte, va, from, to)                                                        \
	for (u64 va = (from), *table_ = NULL, *pte; va < (to); va += PAGE_SIZE)                    \
		if ((!table_ || !(va % TABLE_SPAN)) && !(table_ = mm_table(mm, va)))               \
			va = ALIGN_DOWN(va, TABLE_SPAN) + TABLE_SPAN - PAGE_SIZE;                  \
		else if (*(pte = &table_[va >> PAGE_SHIFT & 511]))

struct flush {
	struct mm *mm;
	u64 start, end;
};

static void flush_here(void *arg)
{
	const struct flush *flush = arg;

	if (this_cpu->mm != flush->mm)
		return;
	if (flush->end - flush->start > FLUSH_ALL_ABOVE) {
		write_cr3(flush->mm->cr3);
		return;
	}
	for (u64 va = flush->start; va < flush->end; va += PAGE_SIZE)
		invlpg(va);
}

static void flush(struct mm *mm, u64 start, u64 end)
{
	struct flush flush = { mm, start, end };

	mm_on_cpus(mm, flush_here, &flush);
}

void mm_flush_page(struct mm *mm, u64 address)
{
	flush(mm, address, address + PAGE_SIZE);
}

static void free_pages_of(struct mm *mm, const struct vma *vma)
{
	for_each_pte(mm, pte, va, vma->start, vma->end) {
		page_put(phys_to_page(*pte & PTE_ADDRESS));
		*pte = 0;
	}
}

/* Stale TLB entries must be gone before the pages can serve others, hence the flush between two passes. */
void mm_zap(struct mm *mm, u64 start, u64 end)
{
	for_each_pte(mm, pte, va, start, end)
		*pte &= ~PTE_PRESENT;
	flush(mm, start, end);
	for_each_pte(mm, pte, va, start, end) {
		page_put(phys_to_page(*pte & PTE_ADDRESS));
		*pte = 0;
	}
}

long mm_move_pages(struct mm *mm, u64 from, u64 to, u64 size)
{
	for_each_pte(mm, pte, va, from, from + size)
		if (!mm_pte(mm, to + (va - from)))
			return -ENOMEM;
	for_each_pte(mm, pte, va, from, from + size) {
		*mm_pte(mm, to + (va - from)) = *pte;
		*pte = 0;
	}
	flush(mm, from, from + size);
	return 0;
}

u64 pte_rights(const struct vma *vma)
{
	return (vma->prot ? PTE_PRESENT | PTE_USER : PTE_USER) | (vma->prot & PROT_EXEC ? 0 : PTE_NX) |
	       (u64)vma->pkey << PTE_PKEY_SHIFT;
}

/*
 * A page that was writable stays so if the new rights allow it. One that was not may be shared with another
 * process: the next write faults and finds out.
 */
void mm_reprotect(struct mm *mm, const struct vma *vma)
{
	for_each_pte(mm, pte, va, vma->start, vma->end)
		*pte = (*pte & PTE_ADDRESS) | pte_rights(vma) |
		       (vma->prot & PROT_WRITE ? *pte & PTE_WRITE : 0);
	flush(mm, vma->start, vma->end);
}

static bool fork_pages(struct mm *child, struct mm *parent, const struct vma *vma)
{
	u64 *child_table = NULL, child_table_at = 1;

	for_each_pte(parent, pte, va, vma->start, vma->end) {
		if (ALIGN_DOWN(va, TABLE_SPAN) != child_table_at) {
			child_table = table_entry(child->pml4, ALIGN_DOWN(va, TABLE_SPAN), 1, alloc_user_table, child);
			child_table_at = ALIGN_DOWN(va, TABLE_SPAN);
			if (!child_table)
				return false;
		}
		if (!vma->shared)
			*pte &= ~PTE_WRITE;
		child_table[va >> PAGE_SHIFT & 511] = *pte;
		page_get(phys_to_page(*pte & PTE_ADDRESS));
	}
	return true;
}

static bool fork_vma(struct mm *child, struct mm *parent, const struct vma *vma)
{
	struct vma *copy = kmalloc(sizeof(*copy));

	if (!copy)
		return false;
	*copy = *vma;
	if (copy->shared)
		__atomic_fetch_add(&copy->shared->refcount, 1, __ATOMIC_RELAXED);
	list_add_before(&copy->link, &child->vmas);
	return fork_pages(child, parent, vma);
}

struct mm *mm_fork(struct mm *parent)
{
	struct mm *child = mm_create();
	struct vma *vma;
	bool ok;

	if (!child)
		return NULL;
	mutex_lock(&parent->lock);
	child->brk_start = parent->brk_start;
	child->brk = parent->brk;
	child->pkeys = parent->pkeys;
	child->execute_key = parent->execute_key;
	ok = ldt_fork(child, parent);
	list_for_each(vma, &parent->vmas, link)
		ok = ok && fork_vma(child, parent, vma);
	flush(parent, USER_START, USER_END);
	mutex_unlock(&parent->lock);
	if (!ok) {
		mm_put(child);
		return NULL;
	}
	return child;
}
