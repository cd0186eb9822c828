/*
 * Areas of an address space: a list sorted by address without overlaps. Everything here wants mm->lock
 * held; nothing here touches a page table.
 */
#include "kernel/errno.h"
#include "kernel/mm.h"

struct vma *vma_create(u64 start, u64 end, u8 prot)
{
	struct vma *vma = kzalloc(sizeof(*vma));

	if (!vma)
		return NULL;
	vma->start = start;
	vma->end = end;
	vma->prot = prot;
	return vma;
}

void vma_free(struct vma *vma)
{
	if (vma->shared)
		shared_put(vma->shared);
	kfree(vma);
}

struct vma *mm_find(struct mm *mm, u64 address)
{
	struct vma *vma = mm->last;

	if (vma && address >= vma->start && address < vma->end)
		return vma;
	list_for_each(vma, &mm->vmas, link) {
		if (address < vma->start)
			break;
		if (address < vma->end) {
			mm->last = vma;
			return vma;
		}
	}
	return NULL;
}

void vma_insert(struct mm *mm, struct vma *vma)
{
	struct vma *next;

	list_for_each(next, &mm->vmas, link)
		if (next->start >= vma->end)
			break;
	list_add_before(&vma->link, &next->link);
}

void vma_share_backing(struct vma *vma, const struct vma *from)
{
	u64 start = vma->start, end = vma->end;

	*vma = *from;
	vma->start = start;
	vma->end = end;
	vma->grows_down = false;
	if (vma->shared)
		__atomic_fetch_add(&vma->shared->refcount, 1, __ATOMIC_RELAXED);
}

/* The backing of an area that begins offset bytes further on. */
void vma_set_backing_offset(struct vma *vma, u64 offset)
{
	if (vma->shared)
		vma->shared_page += offset / PAGE_SIZE;
	if (vma->file) {
		vma->file += MIN(offset, vma->file_size);
		vma->file_size -= MIN(offset, vma->file_size);
	}
}

/* The area at address, if there is one, ends there, and another begins. 0 or -ENOMEM. */
static long vma_split_at(struct mm *mm, u64 address)
{
	struct vma *vma = mm_find(mm, address), *upper;

	if (!vma || vma->start == address)
		return 0;
	upper = kmalloc(sizeof(*upper));
	if (!upper)
		return -ENOMEM;
	*upper = *vma;
	if (upper->shared)
		__atomic_fetch_add(&upper->shared->refcount, 1, __ATOMIC_RELAXED);
	vma_set_backing_offset(upper, address - vma->start);
	upper->start = address;
	upper->grows_down = false;
	vma->end = address;
	list_add_after(&upper->link, &vma->link);
	return 0;
}

/* True if b continues a in every respect; only plain anonymous memory is ever joined. */
static bool continues(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->prot == b->prot && a->pkey == b->pkey && !a->shared && !b->shared && !a->file && !b->file &&
	       !b->grows_down;
}

void vma_merge(struct mm *mm, u64 start, u64 end)
{
	struct vma *vma, *next;

	list_for_each_safe(vma, next, &mm->vmas, link) {
		if (&next->link == &mm->vmas || vma->start > end)
			break;
		if (vma->end < start || !continues(vma, next))
			continue;
		next->start = vma->start;
		next->grows_down = vma->grows_down;
		list_del(&vma->link);
		vma_free(vma);
		mm->last = NULL;
	}
}

u64 mm_find_free(struct mm *mm, u64 size, u64 limit)
{
	u64 top = limit;
	struct list *at;

	for (at = mm->vmas.prev; at != &mm->vmas; at = at->prev) {
		struct vma *vma = list_entry(at, struct vma, link);

		if (vma->end <= top && top - vma->end >= size)
			return top - size;
		top = MIN(top, vma->start);
	}
	return top >= USER_START + size ? top - size : 0;
}

long vma_split_range(struct mm *mm, u64 start, u64 end)
{
	if (!vma_split_at(mm, start) && !vma_split_at(mm, end))
		return 0;
	vma_merge(mm, start, end);
	return -ENOMEM;
}

long mm_unmap(struct mm *mm, u64 start, u64 end)
{
	struct vma *vma, *next;

	if (vma_split_range(mm, start, end))
		return -ENOMEM;
	mm->last = NULL;
	list_for_each_safe(vma, next, &mm->vmas, link) {
		if (vma->start >= end)
			break;
		if (vma->end <= start)
			continue;
		mm_zap(mm, vma->start, vma->end);
		list_del(&vma->link);
		vma_free(vma);
	}
	return 0;
}

long mm_map(struct mm *mm, u64 start, u64 end, u8 prot, const u8 *file, u64 file_size)
{
	struct vma *vma = vma_create(start, end, prot);
	long error = -ENOMEM;

	if (!vma)
		return -ENOMEM;
	vma->file = file;
	vma->file_size = file_size;
	mutex_lock(&mm->lock);
	if (!mm_unmap(mm, start, end)) {
		vma_insert(mm, vma);
		vma = NULL;
		error = 0;
	}
	mutex_unlock(&mm->lock);
	kfree(vma);
	return error;
}

struct shared_memory *shared_create(u64 npages)
{
	struct shared_memory *shared = kzalloc(sizeof(*shared));

	if (!shared)
		return NULL;
	shared->pages = kzalloc(npages * sizeof(struct page *));
	if (!shared->pages) {
		kfree(shared);
		return NULL;
	}
	shared->refcount = 1;
	shared->npages = npages;
	return shared;
}

void shared_put(struct shared_memory *shared)
{
	if (__atomic_sub_fetch(&shared->refcount, 1, __ATOMIC_ACQ_REL))
		return;
	for (u64 i = 0; i < shared->npages; i++)
		if (shared->pages[i])
			page_put(shared->pages[i]);
	kfree(shared->pages);
	kfree(shared);
}
