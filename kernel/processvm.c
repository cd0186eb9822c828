/*
 * process_vm_readv and process_vm_writev: copying between the caller's memory and another task's. Both sides are
 * touched as their programs could touch them: the caller's through its own mapping with its own keys, the other one's
 * with the rights of its areas and with the protection keys that it last published (the 2016 thread's case, which
 * Linux leaves out). Nothing here may go past a key, as a debugger does.
 */
#include "fpu/frame.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/balance.h"
#include "sched/sched.h"
#include "sched/task.h"

#define MAX_TRANSFER 0x7ffff000ul

/* A list of buffers, used up from the front. */
struct buffers {
	struct iovec *iov;
	u64 count, bytes;
};

/* Whose memory, and with which keys. */
struct target {
	struct mm *mm;
	u32 keys;
};

/* local: the caller's own addresses must be user addresses from the start. Until here nothing is looked at. */
static long check_buffers(struct buffers *b, bool local)
{
	for (u64 i = 0; i < b->count; i++) {
		struct iovec *iov = &b->iov[i];

		if ((s64)iov->length < 0)
			return -EINVAL;
		if (local && !user_range(iov->base, iov->length))
			return -EFAULT;
		iov->length = MIN(iov->length, MAX_TRANSFER - b->bytes);
		b->bytes += iov->length;
	}
	return 0;
}

static long get_buffers(struct buffers *b, u64 vector, u64 count, bool local)
{
	long error;

	*b = (struct buffers){ .count = count };
	if (!count)
		return 0;
	if (count > MAX_IOV)
		return -EINVAL;
	b->iov = kmalloc(count * sizeof(*b->iov));
	if (!b->iov)
		return -ENOMEM;
	error = copy_from_user(b->iov, vector, count * sizeof(*b->iov));
	return error ? error : check_buffers(b, local);
}

/* The first buffer that has bytes left; there is one. */
static struct iovec *first_buffer(struct buffers *b)
{
	u64 i = 0;

	while (!b->iov[i].length)
		i++;
	return &b->iov[i];
}

static void use_up(struct buffers *b, struct iovec *iov, size_t n)
{
	iov->base += n;
	iov->length -= n;
	b->bytes -= n;
}

/* False: the keys can't be told now. */
static bool look_at(struct task *task, struct target *target)
{
	struct cpu *cpu = sched_lock_cpu_of(task);
	bool known = fpu_published_keys(&task->fpu, &target->keys);

	spin_release(&cpu->rq.lock);
	if (known)
		target->mm = mm_get(task->process->mm); /* not its guest's */
	return known;
}

static long find_target(int tid, struct target *target)
{
	for (;;) {
		u64 flags = spin_lock_irq(&task_lock);
		struct task *task = task_find(tid);
		bool exists = task && task->mm, done = exists && look_at(task, target);

		spin_unlock_irq(&task_lock, flags);
		if (!exists)
			return -ESRCH;
		if (done)
			return 0;
		if (signal_waiting())
			return -EINTR;
		schedule();
	}
}

/* Up to n bytes, which lie in one page of the target: how many. */
static size_t copy_page_part(const struct target *target, u64 remote, u64 local, void *page, size_t n, bool write)
{
	if (write) {
		n -= copy_from_user_partial(page, local, n);
		return mm_access_with_keys(target->mm, remote, page, n, true, target->keys);
	}
	n = mm_access_with_keys(target->mm, remote, page, n, false, target->keys);
	return n - copy_to_user_partial(local, page, n);
}

static long transfer(const struct target *target, struct buffers *local, struct buffers *remote, bool write)
{
	u8 *page = kmalloc(PAGE_SIZE);
	long total = 0;

	if (!page)
		return -ENOMEM;
	while (local->bytes && remote->bytes && !task_killed()) {
		struct iovec *here = first_buffer(local), *there = first_buffer(remote);
		size_t n = MIN(MIN(here->length, there->length), PAGE_SIZE - there->base % PAGE_SIZE);
		size_t done = copy_page_part(target, there->base, here->base, page, n, write);

		total += (long)done;
		use_up(local, here, done);
		use_up(remote, there, done);
		if (done < n)
			break;
	}
	kfree(page);
	return total ? total : -EFAULT;
}

static long copy_between(int tid, struct buffers *local, struct buffers *remote, bool write)
{
	struct target target = { 0 };
	long result;

	if (!local->bytes || !remote->bytes)
		return 0;
	result = find_target(tid, &target);
	if (result)
		return result;
	result = transfer(&target, local, remote, write);
	mm_put(target.mm);
	return result;
}

static long process_vm(int tid, const u64 vector[2], const u64 count[2], u64 flags, bool write)
{
	struct buffers local = { 0 }, remote = { 0 };
	long result;

	if (flags)
		return -EINVAL;
	result = get_buffers(&local, vector[0], count[0], true);
	if (!result && local.bytes)
		result = get_buffers(&remote, vector[1], count[1], false);
	if (!result)
		result = copy_between(tid, &local, &remote, write);
	kfree(local.iov);
	kfree(remote.iov);
	return result;
}

long sys_process_vm_readv(int tid, u64 local, u64 local_count, u64 remote, u64 remote_count, u64 flags)
{
	return process_vm(tid, (u64[]){ local, remote }, (u64[]){ local_count, remote_count }, flags, false);
}

long sys_process_vm_writev(int tid, u64 local, u64 local_count, u64 remote, u64 remote_count, u64 flags)
{
	return process_vm(tid, (u64[]){ local, remote }, (u64[]){ local_count, remote_count }, flags, true);
}
