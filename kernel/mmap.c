/*
 * The memory system calls: mmap, munmap, mprotect, madvise and brk; protection keys are in pkeys.c. They check the caller's numbers
 * as Linux does and leave the work to vma.c and mm.c.
 */
#include "fpu/image.h"
#include "fpu/update.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "sched/task.h"

#define MADV_DONTNEED 4
#define BRK_LIMIT (1ul << 40)
#define LIMIT_32BIT 0x80000000ul

/* Page-rounds a range; false if it is empty, misaligned, or leaves user space. */
static bool page_range(u64 start, u64 size, u64 *end)
{
	u64 rounded = ALIGN_UP(size, PAGE_SIZE);

	*end = start + rounded;
	return !(start % PAGE_SIZE) && rounded >= size && rounded && user_range(start, rounded);
}

static long attach_backing(struct vma *vma, u64 flags, int fd, u64 offset)
{
	u64 pages = (vma->end - vma->start) / PAGE_SIZE;
	const struct file_data *data;
	struct file *file;

	if (flags & MAP_ANONYMOUS) {
		if ((flags & MAP_TYPE) == MAP_SHARED && !(vma->shared = shared_create(pages)))
			return -ENOMEM;
		return 0;
	}
	file = file_get(fd);
	if (!file)
		return -EBADF;
	data = file_contents(file);
	if (data) { /* boot-image files never change nor go away, so the mapping needs no reference */
		vma->file = data->bytes + MIN(offset, data->size);
		vma->file_size = data->size - MIN(offset, data->size);
	}
	file_put(file);
	if (!data)
		return -ENODEV;
	return (flags & MAP_TYPE) == MAP_SHARED && vma->prot & PROT_WRITE ? -EACCES : 0;
}

static long place(struct mm *mm, u64 *address, u64 size, u64 flags)
{
	u64 end;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (*address % PAGE_SIZE)
			return -EINVAL;
		if (!page_range(*address, size, &end))
			return -ENOMEM;
		if (*address < USER_START)
			return -EPERM;
		if (!(flags & MAP_FIXED_NOREPLACE))
			return mm_unmap(mm, *address, end);
		for (u64 va = *address; va < end; va += PAGE_SIZE)
			if (mm_find(mm, va))
				return -EEXIST;
		return 0;
	}
	*address = ALIGN_DOWN(*address, PAGE_SIZE);
	if (*address >= USER_START && page_range(*address, size, &end) && mm_find_free(mm, size, end) == *address)
		return 0; /* the hint is free */
	*address = mm_find_free(mm, size, flags & MAP_32BIT ? LIMIT_32BIT : MMAP_TOP);
	return *address ? 0 : -ENOMEM;
}

long sys_mmap(u64 address, u64 size, u64 prot, u64 flags, int fd, u64 offset)
{
	struct mm *mm = current->mm;
	struct vma *vma;
	long error;

	if (!size || offset % PAGE_SIZE ||
	    ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_PRIVATE))
		return -EINVAL;
	if (size > USER_END)
		return -ENOMEM;
	size = ALIGN_UP(size, PAGE_SIZE);
	vma = vma_create(0, size, prot & PROT_MASK);
	if (!vma)
		return -ENOMEM;
	error = attach_backing(vma, flags, fd, offset);
	if (!error) {
		mutex_lock(&mm->lock);
		error = place(mm, &address, size, flags);
		if (!error) {
			vma->start = address;
			vma->end = address + size;
			vma->pkey = pkey_for(mm, 0, vma->prot);
			vma_insert(mm, vma);
			vma_merge(mm, vma->start, vma->end);
		}
		mutex_unlock(&mm->lock);
	}
	if (!error)
		return (long)address;
	vma_free(vma);
	return error;
}

long sys_munmap(u64 address, u64 size)
{
	struct mm *mm = current->mm;
	u64 end;
	long error;

	if (!page_range(address, size, &end))
		return -EINVAL;
	mutex_lock(&mm->lock);
	error = mm_unmap(mm, address, end);
	mutex_unlock(&mm->lock);
	return error;
}

/* All of [start, end) must be mapped. With mm->lock. */
static bool fully_mapped(struct mm *mm, u64 start, u64 end)
{
	while (start < end) {
		struct vma *vma = mm_find(mm, start);

		if (!vma)
			return false;
		start = vma->end;
	}
	return true;
}

#define KEEP_PKEY (-1)

static long change_protection(struct mm *mm, u64 start, u64 end, u8 prot, int pkey)
{
	struct vma *vma;

	if (pkey != KEEP_PKEY && !pkey_usable(mm, pkey))
		return -EINVAL;
	if (!fully_mapped(mm, start, end) || vma_split_range(mm, start, end))
		return -ENOMEM;
	list_for_each(vma, &mm->vmas, link) {
		u8 key;

		if (vma->start >= end)
			break;
		key = pkey == KEEP_PKEY ? pkey_for(mm, vma->pkey, prot) : (u8)pkey;
		if (vma->end <= start || (vma->prot == prot && vma->pkey == key))
			continue;
		vma->prot = prot;
		vma->pkey = key;
		mm_reprotect(mm, vma);
	}
	vma_merge(mm, start, end);
	return 0;
}

long sys_pkey_mprotect(u64 address, u64 size, u64 prot, int pkey)
{
	struct mm *mm = current->mm;
	u64 end;
	long error;

	if (address % PAGE_SIZE || prot & ~(u64)PROT_MASK)
		return -EINVAL;
	if (!size)
		return 0;
	if (!page_range(address, size, &end))
		return -ENOMEM;
	mutex_lock(&mm->lock);
	error = change_protection(mm, address, end, (u8)prot, pkey);
	mutex_unlock(&mm->lock);
	return error;
}

long sys_mprotect(u64 address, u64 size, u64 prot)
{
	return sys_pkey_mprotect(address, size, prot, KEEP_PKEY);
}

/* MADV_DONTNEED gives memory back; file-backed areas read their file again. All other advice is only advice. */
long sys_madvise(u64 address, u64 size, int advice)
{
	struct mm *mm = current->mm;
	u64 end;
	long error = 0;

	if (address % PAGE_SIZE)
		return -EINVAL;
	if (!size)
		return 0;
	if (!page_range(address, size, &end))
		return -EINVAL;
	mutex_lock(&mm->lock);
	if (!fully_mapped(mm, address, end))
		error = -ENOMEM;
	else if (advice == MADV_DONTNEED)
		mm_zap(mm, address, end);
	mutex_unlock(&mm->lock);
	return error;
}

/* Linux's brk never fails: it returns the break as it is now. */
long sys_brk(u64 address)
{
	struct mm *mm = current->mm;
	u64 old_end, new_end;

	mutex_lock(&mm->lock);
	old_end = ALIGN_UP(mm->brk, PAGE_SIZE);
	new_end = ALIGN_UP(address, PAGE_SIZE);
	if (address < mm->brk_start || address > mm->brk_start + BRK_LIMIT || address > USER_END) {
		address = mm->brk;
	} else if (new_end > old_end) {
		struct vma *vma = NULL;

		if (mm_find_free(mm, new_end - old_end, new_end) == old_end)
			vma = vma_create(old_end, new_end, PROT_READ | PROT_WRITE);
		if (vma) {
			vma_insert(mm, vma);
			vma_merge(mm, old_end, new_end);
		} else {
			address = mm->brk;
		}
	} else if (new_end < old_end && mm_unmap(mm, new_end, old_end)) {
		address = mm->brk;
	}
	mm->brk = address;
	mutex_unlock(&mm->lock);
	return (long)address;
}
