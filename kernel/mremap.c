/*
 * mremap: a mapping grows, shrinks or moves with its pages, whose contents nobody copies: page-table entries are taken
 * out of one place and put into another. One area at a time, as on Linux.
 */
#include "kernel/errno.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "sched/task.h"

#define MREMAP_MAYMOVE 1u
#define MREMAP_FIXED 2u

struct remap {
	u64 from, old_size, new_size, flags, to;
};

static long check(const struct remap *r, u64 raw_old_size)
{
	if (r->flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) || r->from % PAGE_SIZE || !r->new_size ||
	    r->new_size > USER_END || raw_old_size > r->old_size)
		return -EINVAL;
	if (!(r->flags & MREMAP_FIXED))
		return 0;
	if (!(r->flags & MREMAP_MAYMOVE) || r->to % PAGE_SIZE || r->to < USER_START || !user_range(r->to, r->new_size) ||
	    (r->to < r->from + r->old_size && r->from < r->to + r->new_size))
		return -EINVAL;
	return 0;
}

/* The area at from becomes one at to, with new_size. Nothing is at to. */
static long move(struct mm *mm, const struct remap *r, u64 to)
{
	struct vma *copy = vma_create(to, to + r->new_size, 0);
	long error;

	if (!copy)
		return -ENOMEM;
	error = vma_split_range(mm, r->from, r->from + r->old_size);
	if (!error)
		error = mm_move_pages(mm, r->from, to, MIN(r->old_size, r->new_size));
	if (error) {
		vma_free(copy);
		return error;
	}
	vma_share_backing(copy, mm_find(mm, r->from));
	vma_insert(mm, copy);
	mm_unmap(mm, r->from, r->from + r->old_size);
	vma_merge(mm, copy->start, copy->end);
	return (long)to;
}

/* In place, if nothing is in the way. */
static bool grow(struct mm *mm, struct vma *vma, const struct remap *r)
{
	u64 end = r->from + r->new_size;

	if (vma->end != r->from + r->old_size || !user_range(r->from, r->new_size) ||
	    mm_find_free(mm, r->new_size - r->old_size, end) != vma->end)
		return false;
	vma->end = end;
	vma_merge(mm, r->from, end);
	return true;
}

static long remap(struct mm *mm, const struct remap *r)
{
	struct vma *vma = mm_find(mm, r->from);
	u64 to = r->to;

	if (!vma || r->old_size > vma->end - r->from)
		return -EFAULT;
	if (!r->old_size || (vma->shared && r->new_size > r->old_size))
		return -EINVAL;
	if (r->flags & MREMAP_FIXED) {
		if (mm_unmap(mm, to, to + r->new_size))
			return -ENOMEM;
		return move(mm, r, to);
	}
	if (r->new_size <= r->old_size) {
		long error = r->new_size < r->old_size ? mm_unmap(mm, r->from + r->new_size, r->from + r->old_size) : 0;

		return error ? error : (long)r->from;
	}
	if (grow(mm, vma, r))
		return (long)r->from;
	to = r->flags & MREMAP_MAYMOVE ? mm_find_free(mm, r->new_size, MMAP_TOP) : 0;
	return to ? move(mm, r, to) : -ENOMEM;
}

long sys_mremap(u64 from, u64 old_size, u64 new_size, u64 flags, u64 to)
{
	struct mm *mm = current->mm;
	struct remap r = { from, ALIGN_UP(old_size, PAGE_SIZE), ALIGN_UP(new_size, PAGE_SIZE), flags, to };
	long result = check(&r, old_size);

	if (result)
		return result;
	mutex_lock(&mm->lock);
	result = remap(mm, &r);
	mutex_unlock(&mm->lock);
	return result;
}
