/*
 * Futexes: sleep while a word of user memory has an expected value. A waiter is queued before it looks at
 * the word, and whoever changes the word wakes afterwards, so no wake-up is lost. The key of a private futex is
 * the address space and the address; that of one in shared memory is the memory object and the offset, so that
 * processes meet. A waiter may be moved to another word's queue while it sleeps: its bucket field, which changes
 * only with both buckets locked, says whose lock covers it.
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
#define FUTEX_PRIVATE 128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_COMMAND (~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME))
#define BUCKETS 64
/* Set in a key's address, which is a multiple of 4: as on Linux, a private call does not meet one that is not. */
#define NOT_PRIVATE 1

struct key {
	const void *space; /* struct mm, or struct shared_memory */
	u64 address;
};

struct futex_waiter {
	struct key key;
	volatile u32 bucket;
	u32 bits;
	volatile bool woken; /* not queued any more */
	struct task *task;
	struct list link;
};

static struct {
	struct spinlock lock;
	struct list waiters;
} buckets[BUCKETS];

/* 0, -EINVAL for a misaligned address, -EFAULT for one where no memory can be, or, if not private, is none. */
static long make_key(u64 address, bool private, struct key *key)
{
	struct mm *mm = current->mm;
	struct vma *vma;

	if (address % sizeof(u32))
		return -EINVAL;
	if (!user_range(address, sizeof(u32)))
		return -EFAULT;
	*key = (struct key){ mm, address };
	if (private)
		return 0;
	key->address |= NOT_PRIVATE;
	mutex_lock(&mm->lock);
	vma = mm_find(mm, address);
	if (vma && vma->shared)
		*key = (struct key){ vma->shared, (address - vma->start + vma->shared_page * PAGE_SIZE) | NOT_PRIVATE };
	mutex_unlock(&mm->lock);
	return vma && vma->prot ? 0 : -EFAULT;
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->space == b->space && a->address == b->address;
}

static u32 bucket_of(const struct key *key)
{
	return (u32)(((u64)key->space >> 6 ^ key->address >> 2) % BUCKETS);
}

/* With the bucket's lock, under which an unused bucket becomes an empty list. */
static struct list *waiters_of(u32 bucket)
{
	struct list *waiters = &buckets[bucket].waiters;

	if (!waiters->next)
		list_init(waiters);
	return waiters;
}

/* With its bucket's lock; the waiter goes on only when it has had that lock itself. */
static void wake_waiter(struct futex_waiter *waiter)
{
	list_del(&waiter->link);
	waiter->woken = true;
	task_wake(waiter->task);
}

static long wake(const struct key *key, u32 count, u32 bits)
{
	u32 bucket = bucket_of(key);
	struct futex_waiter *waiter, *next;
	u64 flags = spin_lock_irq(&buckets[bucket].lock);
	long woken = 0;

	list_for_each_safe(waiter, next, waiters_of(bucket), link) {
		if ((u32)woken >= count)
			break;
		if (!same_key(&waiter->key, key) || !(waiter->bits & bits))
			continue;
		wake_waiter(waiter);
		woken++;
	}
	spin_unlock_irq(&buckets[bucket].lock, flags);
	return woken;
}

long futex_wake_address(u64 address, u32 count)
{
	struct key key;
	long error = make_key(address, false, &key);

	return error ? error : wake(&key, count, ~0u);
}

/* Locks the bucket that the waiter is in, wherever it has been moved to. */
static u32 lock_bucket_of(struct futex_waiter *waiter, u64 *flags)
{
	for (;;) {
		u32 bucket = waiter->bucket;

		*flags = spin_lock_irq(&buckets[bucket].lock);
		if (bucket == waiter->bucket)
			return bucket;
		spin_unlock_irq(&buckets[bucket].lock, *flags);
	}
}

/* Takes the waiter off its queue; true if a wake-up had done so already. */
static bool leave(struct futex_waiter *waiter)
{
	u64 flags;
	u32 bucket = lock_bucket_of(waiter, &flags);

	list_del(&waiter->link);
	spin_unlock_irq(&buckets[bucket].lock, flags);
	return waiter->woken;
}

/* Sleeps until woken, killed, a signal or, with until, until that time. */
static long sleep_on(struct futex_waiter *waiter, const u64 *until)
{
	struct timer timer;
	long result = 0;

	list_init(&timer.link);
	if (until)
		timer_add(&timer, *until, current);
	for (;;) {
		task_will_sleep();
		if (waiter->woken)
			break;
		if (signal_waiting()) {
			result = -ERESTARTSYS;
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

static long restart_wait(const struct restart *restart);

/* A wait with a timeout, if it is to go on at all, must not begin its timeout again. */
static long wait_again(u64 address, u32 expected, u64 until, u32 bits, u32 operation)
{
	current->signals.restart = (struct restart){ restart_wait, address, until, expected, bits, operation };
	return -ERESTART_RESTARTBLOCK;
}

static long wait(u64 address, const struct key *key, u32 expected, const u64 *until, u32 bits, u32 operation)
{
	struct futex_waiter waiter = { .key = *key, .bucket = bucket_of(key), .bits = bits, .task = current };
	u64 flags = spin_lock_irq(&buckets[waiter.bucket].lock);
	u32 value;
	long result;

	list_add_before(&waiter.link, waiters_of(waiter.bucket));
	spin_unlock_irq(&buckets[waiter.bucket].lock, flags);

	result = user_read_u32(address, &value);
	if (!result && value != expected)
		result = -EAGAIN;
	if (!result)
		result = sleep_on(&waiter, until);
	if (leave(&waiter))
		return 0;
	return result == -ERESTARTSYS && until ? wait_again(address, expected, *until, bits, operation) : result;
}

static long restart_wait(const struct restart *restart)
{
	struct key key;
	u64 until = restart->until;
	long error = make_key(restart->address, restart->flags & FUTEX_PRIVATE, &key);

	return error ? error : wait(restart->address, &key, restart->value, &until, restart->bits, restart->flags);
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

/* Two buckets, which may be one, in the order of their addresses. */
static u64 lock_both(u32 a, u32 b)
{
	u64 flags = spin_lock_irq(&buckets[MIN(a, b)].lock);

	if (a != b)
		spin_lock(&buckets[MAX(a, b)].lock);
	return flags;
}

static void unlock_both(u32 a, u32 b, u64 flags)
{
	if (a != b)
		spin_unlock(&buckets[MAX(a, b)].lock);
	spin_unlock_irq(&buckets[MIN(a, b)].lock, flags);
}

/* Wakes the first to_wake waiters on from, moves the next to_move to to. How many of both. */
static long requeue(const struct key *from, const struct key *to, u32 to_wake, u32 to_move)
{
	u32 bucket = bucket_of(from), target = bucket_of(to), done = 0;
	u64 flags = lock_both(bucket, target);
	struct futex_waiter *waiter, *next;
	LIST_HEAD(moved);

	list_for_each_safe(waiter, next, waiters_of(bucket), link) {
		if (done >= (u64)to_wake + to_move)
			break;
		if (!same_key(&waiter->key, from))
			continue;
		if (done++ < to_wake) {
			wake_waiter(waiter);
			continue;
		}
		list_del(&waiter->link);
		waiter->key = *to;
		waiter->bucket = target;
		list_add_before(&waiter->link, &moved);
	}
	list_for_each_safe(waiter, next, &moved, link) {
		list_del(&waiter->link);
		list_add_before(&waiter->link, waiters_of(target));
	}
	unlock_both(bucket, target, flags);
	return done;
}

static long futex_requeue(u64 address, bool private, int to_wake, int to_move, u64 address2, const u32 *expected)
{
	struct key from, to;
	long error;
	u32 value;

	if (to_wake < 0 || to_move < 0)
		return -EINVAL;
	error = make_key(address, private, &from);
	if (!error)
		error = make_key(address2, private, &to);
	if (error)
		return error;
	if (expected && user_read_u32(address, &value))
		return -EFAULT;
	if (expected && value != *expected)
		return -EAGAIN;
	return requeue(&from, &to, (u32)to_wake, (u32)to_move);
}

static long futex_wait(u64 address, u32 operation, u32 expected, u64 timeout, u32 bits)
{
	bool relative = (operation & FUTEX_COMMAND) == FUTEX_WAIT;
	struct key key;
	u64 until;
	long error = 0;

	if (timeout)
		error = deadline(timeout, relative, operation & FUTEX_CLOCK_REALTIME, &until);
	if (!error && !bits)
		error = -EINVAL;
	if (!error)
		error = make_key(address, operation & FUTEX_PRIVATE, &key);
	return error ? error : wait(address, &key, expected, timeout ? &until : NULL, bits, operation);
}

/* As on Linux, a count of 0 or below wakes one. */
static long futex_wake(u64 address, bool private, u32 count, u32 bits)
{
	struct key key;
	long error = bits ? make_key(address, private, &key) : -EINVAL;

	return error ? error : wake(&key, (u32)MAX((int)count, 1), bits);
}

long sys_futex(u64 address, u32 operation, u32 value, u64 timeout, u64 address2, u32 value3)
{
	u32 command = operation & FUTEX_COMMAND;
	bool private = operation & FUTEX_PRIVATE;

	if (operation & FUTEX_CLOCK_REALTIME && command != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (command) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return futex_wait(address, operation, value, timeout, command == FUTEX_WAIT ? ~0u : value3);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return futex_wake(address, private, value, command == FUTEX_WAKE ? ~0u : value3);
	case FUTEX_REQUEUE: /* the timeout's place holds a count */
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(address, private, (int)value, (int)timeout, address2,
				     command == FUTEX_CMP_REQUEUE ? &value3 : NULL);
	default:
		return -ENOSYS;
	}
}
