/*
 * Robust futexes: a thread says once where it keeps the list of locks it holds, and when it ends the kernel
 * marks those that are still its own, so that whoever waits for one learns that its holder died. The list is
 * user memory: whatever is wrong with it ends the walk and nothing else.
 */
#include "kernel/errno.h"
#include "kernel/futex.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK 0x3fffffffu
#define FUTEX_WAITERS 0x80000000u
#define LONGEST_LIST 2048 /* a list may be a circle */
#define ENTRY_FLAGS 1ul	  /* in the low bit of a link: a priority-inheriting lock, which Tarry has not */

struct robust_list_head {
	u64 first;	/* link in the first lock, or the head's own address */
	s64 lock_offset; /* from a lock's link to its futex word */
	u64 pending;	/* the lock that is being taken or given back, or 0 */
};

long sys_set_robust_list(u64 head, size_t size)
{
	if (size != sizeof(struct robust_list_head))
		return -EINVAL;
	current->robust_list = head;
	return 0;
}

long sys_get_robust_list(int tid, u64 user_head, u64 user_size)
{
	u64 flags = spin_lock_irq(&task_lock), size = sizeof(struct robust_list_head), head = 0;
	struct task *task = tid ? task_find(tid) : current;

	if (task)
		head = task->robust_list;
	spin_unlock_irq(&task_lock, flags);
	if (!task)
		return -ESRCH;
	if (copy_to_user(user_size, &size, sizeof(size)) || copy_to_user(user_head, &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

/*
 * Nobody but its holder changes the word, except to set FUTEX_WAITERS. That bit may come between our reading and
 * our writing and be lost, so all waiters are woken, not one: they set it again.
 */
static bool holder_died(u64 word)
{
	u32 value;

	if (word % sizeof(value) || user_read_u32(word, &value))
		return false;
	if ((value & FUTEX_TID_MASK) != (u32)current->tid)
		return true;
	value = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	if (copy_to_user(word, &value, sizeof(value)))
		return false;
	futex_wake_address(word, ~0u);
	return true;
}

void robust_list_exit(void)
{
	struct robust_list_head head;
	u64 at = current->robust_list, start = at, next;

	current->robust_list = 0;
	if (!at || copy_from_user(&head, at, sizeof(head)))
		return;
	at = head.first & ~ENTRY_FLAGS;
	for (u32 i = 0; at != start && i < LONGEST_LIST; i++) {
		if (copy_from_user(&next, at, sizeof(next))) /* first: a woken waiter may reuse the memory */
			return;
		if (at != (head.pending & ~ENTRY_FLAGS) && !holder_died(at + (u64)head.lock_offset))
			return;
		at = next & ~ENTRY_FLAGS;
	}
	if (head.pending)
		holder_died((head.pending & ~ENTRY_FLAGS) + (u64)head.lock_offset);
}
