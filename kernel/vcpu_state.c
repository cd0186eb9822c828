/*
 * What an owner gives to its guest and takes from it while the guest does not run: memory, and the extended registers
 * through the doors of fpu/standard.h. user/include/tarry.h has the calls.
 */
#include "fpu/guest.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/standard.h"
#include "kernel/errno.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "kernel/vcpu.h"

/* --- Memory --- */

static bool memory_refused(const struct tarry_vcpu_memory *m)
{
	return !m->size || m->size > TARRY_VCPU_MEMORY_MAX || (m->address | m->size | m->source) % PAGE_SIZE ||
	       m->address < USER_START || !user_range(m->address, m->size) || !user_range(m->source, m->size) ||
	       m->prot & ~PROT_MASK || m->key >= PKEYS || (m->key && !fpu_config.pku);
}

/* If the source lies within one shared mapping of the owner's, the area gets the same backing. */
static bool share_source(struct vma *vma, const struct tarry_vcpu_memory *m)
{
	struct mm *mm = current->mm;
	const struct vma *from;
	bool shared;

	mutex_lock(&mm->lock);
	from = mm_find(mm, m->source);
	shared = from && from->shared && m->source + m->size <= from->end;
	if (shared) {
		vma_share_backing(vma, from);
		vma_set_backing_offset(vma, m->source - from->start);
	}
	mutex_unlock(&mm->lock);
	return shared;
}

/* 0; -EFAULT: the owner itself could not read it; -ENOMEM. */
static long copy_source(struct shared_memory *memory, u64 source)
{
	for (u64 i = 0; i < memory->npages; i++) {
		memory->pages[i] = page_alloc();
		if (!memory->pages[i])
			return -ENOMEM;
		if (copy_from_user(page_address(memory->pages[i]), source + i * PAGE_SIZE, PAGE_SIZE))
			return -EFAULT;
	}
	return 0;
}

/* Pages come into the guest's tables at their first use. */
static long back(struct vma *vma, const struct tarry_vcpu_memory *m)
{
	if (m->source && share_source(vma, m))
		return 0;
	vma->shared = shared_create(m->size / PAGE_SIZE);
	if (!vma->shared)
		return -ENOMEM;
	return m->source ? copy_source(vma->shared, m->source) : 0;
}

static long place(struct mm *mm, struct vma *vma)
{
	long error;

	mutex_lock(&mm->lock);
	error = mm_unmap(mm, vma->start, vma->end);
	if (!error)
		vma_insert(mm, vma);
	mutex_unlock(&mm->lock);
	return error;
}

static long give_memory(struct mm *mm, const struct tarry_vcpu_memory *m)
{
	struct vma *vma = vma_create(m->address, m->address + m->size, 0);
	long error;

	if (!vma)
		return -ENOMEM;
	error = back(vma, m);
	vma->prot = (u8)m->prot;
	vma->pkey = (u8)m->key;
	if (!error)
		error = place(mm, vma);
	if (error)
		vma_free(vma);
	return error;
}

long sys_vcpu_memory(int fd, u64 user_memory)
{
	struct tarry_vcpu_memory memory;
	struct vcpu *vcpu;
	long error;

	if (copy_from_user(&memory, user_memory, sizeof(memory)))
		return -EFAULT;
	vcpu = vcpu_get(fd, &error);
	if (!vcpu)
		return error;
	error = memory_refused(&memory) ? -EINVAL : give_memory(vcpu->mm, &memory);
	vcpu_put(vcpu);
	return error;
}

/* --- Extended registers --- */

static long set_image(struct vcpu *vcpu, const struct tarry_vcpu_fpu *request)
{
	struct xsave_area *image;
	long error;

	if (request->size != fpu_standard_size())
		return -EINVAL;
	image = fpu_area_alloc(fpu_standard_size());
	if (!image)
		return -ENOMEM;
	error = copy_from_user(image, request->image, request->size);
	if (!error)
		error = fpu_standard_check(image, fpu_config.xcr0);
	if (!error)
		fpu_standard_write(&vcpu->fpu, image, fpu_config.xcr0, FPU_EV_REGSET_WRITE);
	fpu_area_free(image);
	return error;
}

static long get_image(struct vcpu *vcpu, u64 address)
{
	struct xsave_area *image = fpu_area_alloc(fpu_standard_size());
	long error;

	if (!image)
		return -ENOMEM;
	fpu_standard_read(&vcpu->fpu, image, FPU_EV_REGSET_READ);
	error = copy_to_user(address, image, fpu_standard_size());
	fpu_area_free(image);
	return error;
}

static long set_fpu(struct vcpu *vcpu, const struct tarry_vcpu_fpu *request)
{
	if (request->xfd & ~fpu_config.dynamic)
		return -EINVAL;
	fpu_guest_init(&vcpu->fpu, request->init);
	fpu_guest_set_xfd(&vcpu->fpu, request->xfd);
	return request->image ? set_image(vcpu, request) : 0;
}

static long get_fpu(struct vcpu *vcpu, struct tarry_vcpu_fpu *request)
{
	long error = request->image && request->size >= fpu_standard_size() ? get_image(vcpu, request->image) : 0;

	request->size = fpu_standard_size();
	request->xfd = vcpu->fpu.user.xfd;
	return error;
}

long sys_vcpu_set_fpu(int fd, u64 user_request)
{
	struct tarry_vcpu_fpu request;
	struct vcpu *vcpu;
	long error;

	if (copy_from_user(&request, user_request, sizeof(request)))
		return -EFAULT;
	vcpu = vcpu_get(fd, &error);
	if (!vcpu)
		return error;
	error = set_fpu(vcpu, &request);
	vcpu_put(vcpu);
	return error;
}

long sys_vcpu_get_fpu(int fd, u64 user_request)
{
	struct tarry_vcpu_fpu request;
	struct vcpu *vcpu;
	long error;

	if (copy_from_user(&request, user_request, sizeof(request)))
		return -EFAULT;
	vcpu = vcpu_get(fd, &error);
	if (!vcpu)
		return error;
	error = get_fpu(vcpu, &request);
	vcpu_put(vcpu);
	return error ? error : copy_to_user(user_request, &request, sizeof(request));
}
