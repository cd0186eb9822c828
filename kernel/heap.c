/*
 * The kernel heap: one slab class for each power of two from 32 to 4096 bytes, a slab being one page. One
 * whose last object is freed goes back to the page allocator, unless it is the last of its class that has
 * room: one object made and freed again and again shall not cost a slab each time. Larger requests get whole
 * pages. Objects are not cleared by kmalloc. Everything is covered by one lock.
 */
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/shortage.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"

#define SMALLEST_SHIFT 5
#define LARGEST_SHIFT 12
#define CLASSES (LARGEST_SHIFT - SMALLEST_SHIFT + 1)

static struct spinlock lock;
static struct list partial[CLASSES]; /* slabs with free objects */
static u64 pages_held, objects_held;

/* A slab's page: order holds its class + 1, so that 0 tells a large allocation's page from a slab's. */
static struct page *slab_new(u32 class)
{
	struct page *page = page_alloc();
	u64 step = 1ul << (class + SMALLEST_SHIFT);
	char *base;

	if (!page)
		return NULL;
	base = page_address(page);
	page->order = (u8)(class + 1);
	page->objects = 0;
	page->free_object = base;
	for (u64 at = 0; at < PAGE_SIZE; at += step)
		*(void **)(base + at) = at + step < PAGE_SIZE ? base + at + step : NULL;
	list_add_after(&page->link, &partial[class]);
	pages_held++;
	return page;
}

static void *alloc_small(u32 class)
{
	struct page *page;
	void *object;

	if (!partial[class].next)
		list_init(&partial[class]);
	if (!list_empty(&partial[class]))
		page = list_first(&partial[class], struct page, link);
	else if (!(page = slab_new(class)))
		return NULL;
	object = page->free_object;
	page->free_object = *(void **)object;
	page->objects++;
	if (!page->free_object)
		list_del(&page->link);
	return object;
}

/* Large allocations keep their order in objects: a page's own order field is what tells them apart. */
static void *alloc_large(size_t size)
{
	u32 order = 0;
	struct page *page;

	while (PAGE_SIZE << order < size)
		order++;
	page = order < BUDDY_ORDERS ? page_alloc_order(order) : NULL;
	if (!page)
		return NULL;
	page->order = 0;
	page->objects = (u16)order;
	pages_held += 1ul << order;
	return page_address(page);
}

void *kmalloc(size_t size)
{
	u32 shift = SMALLEST_SHIFT;
	void *object;
	u64 flags;

	if (shortage_now())
		return NULL;
	flags = spin_lock_irq(&lock);
	if (size > 1ul << LARGEST_SHIFT) {
		object = alloc_large(size);
	} else {
		if (size > 1ul << SMALLEST_SHIFT)
			shift = 64 - (u32)__builtin_clzll(size - 1);
		object = alloc_small(shift - SMALLEST_SHIFT);
	}
	objects_held += object != NULL;
	spin_unlock_irq(&lock, flags);
	return object;
}

void *kzalloc(size_t size)
{
	void *object = kmalloc(size);

	return object ? memset(object, 0, size) : NULL;
}

static void free_small(struct page *page, void *object)
{
	bool was_full = !page->free_object;

	*(void **)object = page->free_object;
	page->free_object = object;
	if (was_full)
		list_add_after(&page->link, &partial[page->order - 1]);
	if (--page->objects || page->link.next == page->link.prev)
		return;
	list_del(&page->link);
	pages_held--;
	page_free_order(page, 0);
}

void kfree(void *object)
{
	struct page *page;
	u64 flags;

	if (!object)
		return;
	flags = spin_lock_irq(&lock);
	objects_held--;
	page = phys_to_page(virt_to_phys((void *)ALIGN_DOWN((u64)object, PAGE_SIZE)));
	if (page->order) {
		free_small(page, object);
	} else {
		pages_held -= 1ul << page->objects;
		page_free_order(page, page->objects);
	}
	spin_unlock_irq(&lock, flags);
}

u64 heap_pages(void)
{
	return pages_held;
}

u64 heap_objects(void)
{
	return objects_held;
}
