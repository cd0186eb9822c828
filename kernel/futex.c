/*
 * Futexes: sleep while a word of user memory has an expected value. A waiter is queued before it looks at
 * the word, and whoever changes the word wakes afterwards, so no wake-up is lost. The key is the address
 * space and the address; for shared memory it is the memory object and the offset, so that processes meet.
 */
#include "kernel/errno.h"
#include "kernel/futex.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/uaccess.h"
#include "sched/sched.h"
#include "sched/task.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_COMMAND 127
#define BUCKETS 64

struct key {
	const void *space; /* struct mm, or struct shared_memory */
	u64 address;
};

struct futex_waiter {
	struct key key;
	u32 bits;
	struct task *task;
	struct list link;
};

static struct {
	struct spinlock lock;
	struct list waiters;
} buckets[BUCKETS];

static struct key make_key(u64 address)
{
	struct mm *mm = current->mm;
	struct key key = { mm, address };
	struct vma *vma;

	mutex_lock(&mm->lock);
	vma = mm_find(mm, address);
	if (vma && vma->shared)
		key = (struct key){ vma->shared, address - vma->start + vma->shared_page * PAGE_SIZE };
	mutex_unlock(&mm->lock);
	return key;
}

static u32 bucket_of(const struct key *key)
{
	return (u32)(((u64)key->space >> 6 ^ key->address >> 2) % BUCKETS);
}

/* With the bucket's lock, under which an unused bucket becomes an empty list. */
static struct list *waiters_of(u32 index)
{
	struct list *waiters = &buckets[index].waiters;

	if (!waiters->next)
		list_init(waiters);
	return waiters;
}

static long wake(u64 address, u32 count, u32 bits)
{
	struct key key = make_key(address);
	u32 index = bucket_of(&key);
	struct futex_waiter *waiter, *next;
	u64 flags = spin_lock_irq(&buckets[index].lock);
	long woken = 0;

	list_for_each_safe(waiter, next, waiters_of(index), link) {
		if ((u32)woken >= count)
			break;
		if (waiter->key.space != key.space || waiter->key.address != key.address || !(waiter->bits & bits))
			continue;
		list_del(&waiter->link);
		task_wake(waiter->task);
		woken++;
	}
	spin_unlock_irq(&buckets[index].lock, flags);
	return woken;
}

long futex_wake_address(u64 address, u32 count)
{
	return wake(address, count, ~0u);
}

/* Takes the waiter off its queue; true if a wake-up had done so already. */
static bool leave(struct futex_waiter *waiter, u32 index)
{
	u64 flags = spin_lock_irq(&buckets[index].lock);
	bool woken = list_empty(&waiter->link);

	list_del(&waiter->link);
	spin_unlock_irq(&buckets[index].lock, flags);
	return woken;
}

/* Sleeps until woken, killed or, with until, until that time. */
static long sleep_on(struct futex_waiter *waiter, const u64 *until)
{
	struct timer timer;
	long result = 0;

	list_init(&timer.link);
	if (until)
		timer_add(&timer, *until, current);
	for (;;) {
		task_will_sleep();
		if (list_empty(&waiter->link))
			break;
		if (task_killed()) {
			result = -EINTR;
			break;
		}
		if (until && (clock_ns() >= *until || timer_expired(&timer))) {
			result = -ETIMEDOUT;
			break;
		}
		schedule();
	}
	current->state = TASK_RUNNING;
	timer_cancel(&timer);
	return result;
}

static long wait(u64 address, u32 expected, const u64 *until, u32 bits)
{
	struct futex_waiter waiter = { .key = make_key(address), .bits = bits, .task = current };
	u32 index = bucket_of(&waiter.key), value;
	u64 flags = spin_lock_irq(&buckets[index].lock);
	long result;

	list_add_before(&waiter.link, waiters_of(index));
	spin_unlock_irq(&buckets[index].lock, flags);

	result = user_read_u32(address, &value);
	if (!result && value != expected)
		result = -EAGAIN;
	if (!result)
		result = sleep_on(&waiter, until);
	return leave(&waiter, index) ? 0 : result;
}

/* FUTEX_WAIT's timeout is relative, FUTEX_WAIT_BITSET's a point in time. */
static long deadline(u64 user_timeout, bool relative, bool realtime, u64 *until)
{
	struct timespec ts;

	if (copy_from_user(&ts, user_timeout, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || (u64)ts.nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*until = timespec_ns(&ts) + (relative ? clock_ns() : 0);
	if (!relative && realtime)
		*until -= MIN(*until, realtime_offset());
	return 0;
}

/*
 * FUTEX_REQUEUE wakes some waiters and moves others to a second word. Here the others are woken too: a futex
 * wait may end without cause, and whoever is woken looks at the second word by himself. The number of both.
 */
static long requeue(u64 address, u32 to_wake, u64 to_move, bool compare, u32 expected)
{
	u32 value;

	if (compare && user_read_u32(address, &value))
		return -EFAULT;
	if (compare && value != expected)
		return -EAGAIN;
	return wake(address, (u32)MIN(to_wake + MIN(to_move, 0x7ffffffful), 0x7ffffffful), ~0u);
}

long sys_futex(u64 address, u32 operation, u32 value, u64 timeout, u64 address2, u32 bits)
{
	u32 command = operation & FUTEX_COMMAND;
	bool wait_command = command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET;
	u64 until;
	long error;

	bool requeue_command = command == FUTEX_REQUEUE || command == FUTEX_CMP_REQUEUE;

	if (command != FUTEX_WAKE && command != FUTEX_WAKE_BITSET && !requeue_command && !wait_command)
		return -ENOSYS;
	if (address % 4 || (requeue_command && address2 % 4))
		return -EINVAL;
	if (!user_range(address, 4) || (requeue_command && !user_range(address2, 4)))
		return -EFAULT;
	if (requeue_command) /* the timeout's place holds a count */
		return requeue(address, value, (u32)timeout, command == FUTEX_CMP_REQUEUE, bits);
	if (command == FUTEX_WAIT || command == FUTEX_WAKE)
		bits = ~0u;
	if (!bits)
		return -EINVAL;
	if (!wait_command)
		return wake(address, value, bits);
	if (timeout) {
		error = deadline(timeout, command == FUTEX_WAIT, operation & FUTEX_CLOCK_REALTIME, &until);
		if (error)
			return error;
	}
	return wait(address, value, timeout ? &until : NULL, bits);
}
