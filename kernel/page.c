/*
 * Physical pages: struct page for all of RAM and the locked front of the buddy allocator. Never hands
 * out a page below 1 MiB (firmware and the start-up of other CPUs live there), nor one of the kernel
 * image or of a boot module.
 */
#include "kernel/bootinfo.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/shortage.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"

#define LOW_MEMORY 0x100000ul
#define MINIMUM_PAGES (8 * 1024 * 1024 / PAGE_SIZE)

extern char kernel_phys_start[], kernel_phys_end[];

struct page *page_array; /* one for each page from address 0 to the end of RAM */
static struct buddy buddy;
static struct spinlock lock;
static u64 total;

u64 ram_end(void)
{
	return buddy.npages * PAGE_SIZE;
}

/* What the allocator must not get: low memory, kernel image, modules, and the struct page array. */
static struct memory_range reserved[MAX_MODULES + 3];
static u32 nreserved;

static void reserve(u64 start, u64 end)
{
	reserved[nreserved++] = (struct memory_range){ ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE) };
}

/* The reserved range that overlaps [start, end) and begins first, or NULL. */
static const struct memory_range *first_conflict(u64 start, u64 end)
{
	const struct memory_range *first = NULL;

	for (u32 i = 0; i < nreserved; i++)
		if (reserved[i].start < end && start < reserved[i].end &&
		    (!first || reserved[i].start < first->start))
			first = &reserved[i];
	return first;
}

/* Address of n bytes of RAM that nothing reserves, or 0. */
static u64 find_room(u64 n)
{
	const struct memory_range *conflict;

	for (u32 i = 0; i < bootinfo.nranges; i++) {
		u64 at = bootinfo.ram[i].start;

		while ((conflict = first_conflict(at, at + n)))
			at = conflict->end;
		if (at + n <= bootinfo.ram[i].end)
			return at;
	}
	return 0;
}

static void give_range(u64 start, u64 end)
{
	const struct memory_range *conflict;

	while (start < end && (conflict = first_conflict(start, end))) {
		if (start < conflict->start)
			buddy_add_range(&buddy, start / PAGE_SIZE, conflict->start / PAGE_SIZE);
		start = conflict->end;
	}
	if (start < end)
		buddy_add_range(&buddy, start / PAGE_SIZE, end / PAGE_SIZE);
}

void page_init(void)
{
	u64 top = 0, map_bytes, map;

	reserve(0, LOW_MEMORY);
	reserve((u64)kernel_phys_start, (u64)kernel_phys_end);
	for (u32 i = 0; i < bootinfo.nmodules; i++)
		reserve(bootinfo.modules[i].range.start, bootinfo.modules[i].range.end);
	for (u32 i = 0; i < bootinfo.nranges; i++)
		top = MAX(top, bootinfo.ram[i].end);

	map_bytes = ALIGN_UP(top / PAGE_SIZE * sizeof(struct page), PAGE_SIZE);
	map = find_room(map_bytes);
	if (!map)
		panic("not enough memory: %lu MB", (top >> 20));
	memset(phys_to_virt(map), 0, map_bytes);
	reserve(map, map + map_bytes);
	page_array = phys_to_virt(map);
	buddy_init(&buddy, page_array, top / PAGE_SIZE);

	for (u32 i = 0; i < bootinfo.nranges; i++)
		give_range(bootinfo.ram[i].start, bootinfo.ram[i].end);
	total = buddy.free_pages;
	if (total < MINIMUM_PAGES)
		panic("not enough memory: %lu MB left for pages, need %lu",
		      (total * PAGE_SIZE >> 20),
		      (MINIMUM_PAGES * PAGE_SIZE >> 20));
}

struct page *page_alloc_order(u32 order)
{
	struct page *page = NULL;
	u64 flags, index;

	if (shortage_now())
		return NULL;
	flags = spin_lock_irq(&lock);
	index = buddy_alloc(&buddy, order);
	if (index != ~0ul) {
		page = &buddy.pages[index];
		page->refcount = 1;
	}
	spin_unlock_irq(&lock, flags);
	return page;
}

void page_free_order(struct page *page, u32 order)
{
	u64 flags = spin_lock_irq(&lock);

	page->refcount = 0;
	buddy_free(&buddy, (u64)(page - buddy.pages), order);
	spin_unlock_irq(&lock, flags);
}

void page_get(struct page *page)
{
	__atomic_fetch_add(&page->refcount, 1, __ATOMIC_RELAXED);
}

void page_put(struct page *page)
{
	if (!__atomic_sub_fetch(&page->refcount, 1, __ATOMIC_ACQ_REL))
		page_free_order(page, 0);
}

u64 pages_free(void)
{
	return buddy.free_pages;
}

u64 pages_total(void)
{
	return total;
}
