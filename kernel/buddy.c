/*
 * Buddy allocator: free memory in blocks of 2^n pages, a block's buddy being the one whose index differs
 * in bit n alone. Works on struct page only and never touches the pages themselves, so the same code is
 * tested on the host.
 */
#include "kernel/memory.h"

void buddy_init(struct buddy *b, struct page *pages, u64 npages)
{
	b->pages = pages;
	b->npages = npages;
	b->free_pages = 0;
	for (u32 i = 0; i < BUDDY_ORDERS; i++)
		list_init(&b->free[i]);
}

static void put_block(struct buddy *b, u64 index, u32 order)
{
	struct page *page = &b->pages[index];

	page->state = PAGE_FREE;
	page->order = (u8)order;
	list_add_after(&page->link, &b->free[order]);
}

static struct page *take_block(struct buddy *b, u64 index)
{
	struct page *page = &b->pages[index];

	list_del(&page->link);
	page->state = PAGE_USED;
	return page;
}

void buddy_free(struct buddy *b, u64 index, u32 order)
{
	b->free_pages += 1ul << order;
	while (order + 1 < BUDDY_ORDERS) {
		u64 buddy = index ^ (1ul << order);

		if (buddy + (1ul << order) > b->npages || b->pages[buddy].state != PAGE_FREE ||
		    b->pages[buddy].order != order)
			break;
		take_block(b, buddy);
		index &= ~(1ul << order);
		order++;
	}
	put_block(b, index, order);
}

u64 buddy_alloc(struct buddy *b, u32 order)
{
	u32 o = order;
	u64 index;

	while (o < BUDDY_ORDERS && list_empty(&b->free[o]))
		o++;
	if (o >= BUDDY_ORDERS)
		return ~0ul;
	index = (u64)(list_first(&b->free[o], struct page, link) - b->pages);
	take_block(b, index)->order = (u8)order;
	while (o > order) {
		o--;
		put_block(b, index + (1ul << o), o);
	}
	b->free_pages -= 1ul << order;
	return index;
}

void buddy_add_range(struct buddy *b, u64 first, u64 end)
{
	while (first < end) {
		u32 order = 0;

		while (order + 1 < BUDDY_ORDERS && !(first & ((2ul << order) - 1)) &&
		       first + (2ul << order) <= end)
			order++;
		buddy_free(b, first, order);
		first += 1ul << order;
	}
}
