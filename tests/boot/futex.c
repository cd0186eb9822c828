/*
 * futex - the rest of the futex call: moving waiters, timeouts of every kind, keys, bad addresses.
 * Catches: a move that wakes, or that forgets who moved; a waiter that is gone (timed out, killed)
 * but still queued where it was moved to; a private and a shared word taken for each other; a point
 * in time taken for a span, or one clock for the other.
 */
#include "threads.h"

#define MAX_WAITERS	6
#define MS		1000000L

static uint32_t first, second;		/* two words, always 0 unless a test says otherwise */
static volatile int asleep, awake;
static volatile long results[MAX_WAITERS];

static long futex6(volatile void *word, int op, long value, long timeout, volatile void *word2,
		   uint32_t value3)
{
	return syscall6(SYS_futex, (long)word, op, value, timeout, (long)word2, value3);
}

static long wake(volatile uint32_t *word, int op)
{
	return futex6(word, op, 1000, 0, NULL, UINT32_MAX);
}

struct waiter {
	uint32_t *word;
	int op;
	const struct timespec *timeout;
	uint32_t bits;
};

static struct waiter waiters[MAX_WAITERS];

static int wait_once(void *argument)
{
	struct waiter *w = argument;

	__sync_fetch_and_add(&asleep, 1);
	results[w - waiters] = futex6(w->word, w->op, 0, (long)w->timeout, NULL, w->bits);
	__sync_fetch_and_add(&awake, 1);
	return 0;
}

/* n threads that wait as w says, asleep when it returns. */
static void start_waiters(int n, struct waiter w)
{
	asleep = awake = 0;
	for (int i = 0; i < n; i++) {
		waiters[i] = w;
		results[i] = 1;
		EXPECT(thread_start(&threads[i], wait_once, &waiters[i], 0) > 0);
	}
	while (asleep < n)
		sched_yield();
	sleep_ms(20);
}

static void join_waiters(int n)
{
	for (int i = 0; i < n; i++)
		thread_join(&threads[i]);
}

static void await_awake(int n)
{
	for (int i = 0; i < 500 && awake < n; i++)
		sleep_ms(2);
	EXPECT_EQ(awake, n);
}

static void test_move(void)
{
	enum { N = MAX_WAITERS };

	start_waiters(N, (struct waiter){ &first, FUTEX_WAIT | FUTEX_PRIVATE, NULL, 0 });
	EXPECT_EQ(futex6(&first, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 1, 3, &second, 0), 4);
	await_awake(1);
	sleep_ms(20);
	EXPECT_EQ(awake, 1);
	EXPECT_EQ(wake(&second, FUTEX_WAKE | FUTEX_PRIVATE), 3);
	await_awake(4);
	EXPECT_EQ(wake(&second, FUTEX_WAKE | FUTEX_PRIVATE), 0);
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE | FUTEX_PRIVATE, 0, 1000, &second, 0), 2);
	EXPECT_EQ(wake(&first, FUTEX_WAKE | FUTEX_PRIVATE), 0);
	EXPECT_EQ(wake(&second, FUTEX_WAKE | FUTEX_PRIVATE), 2);
	join_waiters(N);
	for (int i = 0; i < N; i++)
		EXPECT_EQ(results[i], 0);
}

/* To the word itself, and round in circles. */
static void test_move_back(void)
{
	start_waiters(4, (struct waiter){ &first, FUTEX_WAIT, NULL, 0 });
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 0, 1000, &first, 0), 4);
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 0, 1000, &second, 0), 4);
		EXPECT_EQ(futex6(&second, FUTEX_REQUEUE, 0, 1000, &first, 0), 4);
	}
	EXPECT_EQ(awake, 0);
	EXPECT_EQ(wake(&first, FUTEX_WAKE), 4);
	join_waiters(4);
}

static void test_move_refused(void)
{
	void *gone = (void *)4096;

	start_waiters(1, (struct waiter){ &first, FUTEX_WAIT, NULL, 0 });
	EXPECT_EQ(futex6(&first, FUTEX_CMP_REQUEUE, 0, 1, &second, 1), -EAGAIN);
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, -1, 1, &second, 0), -EINVAL);
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 1, -1, &second, 0), -EINVAL);
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 0, 1, (char *)&second + 2, 0), -EINVAL);
	EXPECT_EQ(futex6((char *)&first + 1, FUTEX_REQUEUE, 0, 1, &second, 0), -EINVAL);
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 0, 1, gone, 0), -EFAULT);
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 0, 1, (void *)0xffffffff80000000, 0), -EFAULT);
	EXPECT_EQ(futex6(gone, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 0, 1, &second, 0), -EFAULT);
	EXPECT_EQ(awake, 0);
	EXPECT_EQ(wake(&first, FUTEX_WAKE), 1);
	join_waiters(1);
}

static void test_move_then_time_out(void)
{
	struct timespec t = { 0, 100 * MS };

	start_waiters(3, (struct waiter){ &first, FUTEX_WAIT, &t, 0 });
	EXPECT_EQ(futex6(&first, FUTEX_REQUEUE, 0, 2, &second, 0), 2);
	join_waiters(3);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(results[i], -ETIMEDOUT);
	EXPECT_EQ(wake(&first, FUTEX_WAKE), 0);
	EXPECT_EQ(wake(&second, FUTEX_WAKE), 0);
}

static uint32_t *shared;		/* a page that children share */

static long wait_in_child(uint32_t *word, int op, const struct timespec *timeout)
{
	long pid = fork();

	if (pid == 0)
		exit(futex6(word, op, 0, (long)timeout, NULL, UINT32_MAX) == 0 ? 0 : 1);
	return pid;
}

static int status_of(long pid)
{
	int status = -1;

	wait4((int)pid, &status, 0);
	return status;
}

/* Catches: the queue entry of a dead process, on a stack that is somebody else's by now. */
static void test_killed(void)
{
	long pids[4];

	for (int i = 0; i < 4; i++)
		pids[i] = wait_in_child(&shared[0], FUTEX_WAIT, NULL);
	for (int moved = 0; moved < 2; moved++)	/* the first two in the queue, as they come */
		while (futex6(&shared[0], FUTEX_REQUEUE, 0, 1, &shared[1], 0) == 0)
			sleep_ms(1);
	sleep_ms(20);
	for (int i = 0; i < 4; i++) {
		kill((int)pids[i], SIGKILL);
		EXPECT_EQ(status_of(pids[i]), SIGKILL);
	}
	EXPECT_EQ(wake(&shared[0], FUTEX_WAKE), 0);
	EXPECT_EQ(wake(&shared[1], FUTEX_WAKE), 0);
}

static void threads_in_futex(void)
{
	start_waiters(MAX_WAITERS, (struct waiter){ &first, FUTEX_WAIT, NULL, 0 });
	futex6(&first, FUTEX_REQUEUE, 0, 3, &shared[0], 0);
	exit(5);
}

static void test_exit_group(void)
{
	EXPECT_EQ(ktap_child(threads_in_futex), 5 << 8);
	EXPECT_EQ(wake(&shared[0], FUTEX_WAKE), 0);
}

static void test_keys(void)
{
	struct timespec t = { 0, 60 * MS };
	long pid = wait_in_child(&shared[2], FUTEX_WAIT, NULL);

	while (wake(&shared[2], FUTEX_WAKE) == 0)	/* shared memory, not private: they meet */
		sleep_ms(1);
	EXPECT_EQ(status_of(pid), 0);

	pid = wait_in_child(&shared[2], FUTEX_WAIT | FUTEX_PRIVATE, &t);
	sleep_ms(20);
	EXPECT_EQ(wake(&shared[2], FUTEX_WAKE), 0);
	EXPECT_EQ(wake(&shared[2], FUTEX_WAKE | FUTEX_PRIVATE), 0);
	EXPECT_EQ(status_of(pid), 1 << 8);

	pid = wait_in_child(&first, FUTEX_WAIT, &t);	/* the child's copy is another word */
	sleep_ms(20);
	EXPECT_EQ(wake(&first, FUTEX_WAKE), 0);
	EXPECT_EQ(wake(&first, FUTEX_WAKE | FUTEX_PRIVATE), 0);
	EXPECT_EQ(status_of(pid), 1 << 8);
}

static struct timespec in_ms(int clock, long ms)
{
	struct timespec t = { 0, 1 };

	if (ms < 0)			/* long past */
		return t;
	clock_gettime(clock, &t);
	t.tv_nsec += ms % 1000 * MS;
	t.tv_sec += ms / 1000 + t.tv_nsec / (1000 * MS);
	t.tv_nsec %= 1000 * MS;
	return t;
}

/* Waits until the point `ms` from now by that clock; it must not come back earlier. */
static void expect_until(int clock, int op, long ms)
{
	struct timespec t = in_ms(clock, ms);
	uint64_t start = now_ns();

	EXPECT_EQ(futex6(&first, op, 0, (long)&t, NULL, UINT32_MAX), -ETIMEDOUT);
	if (ms > 0 && now_ns() - start < (uint64_t)(ms - 1) * MS)
		FAIL("op 0x%x: came back after %lu ns, not %ld ms", (unsigned int)op,
		     now_ns() - start, ms);
}

static void test_timeouts(void)
{
	struct timespec bad[] = { { 0, -1 }, { 0, 1000000000 }, { -1, 0 }, { 0, INT64_MIN } };
	struct timespec t = { 0, 30 * MS };
	uint64_t start = now_ns();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(futex(&first, FUTEX_WAIT, 0, &bad[i]), -EINVAL);
		EXPECT_EQ(futex6(&first, FUTEX_WAIT_BITSET, 0, (long)&bad[i], NULL, 1), -EINVAL);
	}
	EXPECT_EQ(futex(&first, FUTEX_WAIT, 0, (struct timespec *)8), -EFAULT);
	EXPECT_EQ(futex(&first, FUTEX_WAIT, 0, &t), -ETIMEDOUT);
	EXPECT(now_ns() - start >= 30 * (uint64_t)MS);
	expect_until(CLOCK_MONOTONIC, FUTEX_WAIT_BITSET, 30);
	expect_until(CLOCK_REALTIME, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 30);
	expect_until(CLOCK_MONOTONIC, FUTEX_WAIT_BITSET, -1);
	expect_until(CLOCK_REALTIME, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, -1);
	EXPECT_EQ(futex(&first, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, &t), -ENOSYS);
	EXPECT_EQ(wake(&first, FUTEX_WAKE | FUTEX_CLOCK_REALTIME), -ENOSYS);
	EXPECT_EQ(wake(&first, FUTEX_WAKE), 0);
}

static void test_bits(void)
{
	asleep = awake = 0;
	for (int i = 0; i < 4; i++) {
		waiters[i] = (struct waiter){ &first, FUTEX_WAIT_BITSET, NULL, 1U << i };
		thread_start(&threads[i], wait_once, &waiters[i], 0);
	}
	while (asleep < 4)
		sched_yield();
	sleep_ms(20);
	EXPECT_EQ(futex6(&first, FUTEX_WAKE_BITSET, 1000, 0, NULL, 0x10), 0);
	EXPECT_EQ(futex6(&first, FUTEX_WAKE_BITSET, 1000, 0, NULL, 0xc), 2);
	await_awake(2);
	EXPECT_EQ(results[2] | results[3], 0);
	EXPECT_EQ(futex6(&first, FUTEX_WAKE_BITSET, 1000, 0, NULL, 0), -EINVAL);
	EXPECT_EQ(futex6(&first, FUTEX_WAIT_BITSET, 0, 0, NULL, 0), -EINVAL);
	EXPECT_EQ(wake(&first, FUTEX_WAKE), 2);
	join_waiters(4);
}

static void test_addresses(void)
{
	static const uint64_t bad[] = { 0, 4096, 0x7ffffffff000, 0x800000000000,
					0xffff800000000000, 0xfffffffffffffffc };
	char *none = (char *)mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(futex6((void *)bad[i], FUTEX_WAIT, 0, 0, NULL, 0), -EFAULT);
		EXPECT_EQ(futex6((void *)bad[i], FUTEX_WAIT | FUTEX_PRIVATE, 0, 0, NULL, 0),
			  -EFAULT);
		EXPECT_EQ(wake((void *)bad[i], FUTEX_WAKE), -EFAULT);
	}
	EXPECT_EQ(wake((void *)4096, FUTEX_WAKE | FUTEX_PRIVATE), 0);	/* nobody can be there */
	EXPECT_EQ(futex6(none, FUTEX_WAIT, 0, 0, NULL, 0), -EFAULT);
	EXPECT_EQ(futex6(none, FUTEX_WAIT | FUTEX_PRIVATE, 0, 0, NULL, 0), -EFAULT);
	for (int i = 1; i < 4; i++) {
		EXPECT_EQ(futex6((char *)&first + i, FUTEX_WAIT, 0, 0, NULL, 0), -EINVAL);
		EXPECT_EQ(wake((void *)((char *)&first + i), FUTEX_WAKE | FUTEX_PRIVATE), -EINVAL);
	}
	munmap(none, PAGE_SIZE);
}

enum { SHIFTS = 300 };
static volatile int done;

static int wait_often(void *argument)
{
	(void)argument;
	for (int i = 0; i < SHIFTS; i++) {
		struct timespec t = { 0, 1 * MS };

		futex6(&first, FUTEX_WAIT | FUTEX_PRIVATE, 0, i % 4 ? 0 : (long)&t, NULL, 0);
	}
	__sync_fetch_and_add(&done, 1);
	return 0;
}

/* Moved, woken and timed out at once, thousands of times. Catches: who is on no queue at all. */
static void test_storm(void)
{
	done = 0;
	for (int i = 0; i < MAX_WAITERS; i++)
		thread_start(&threads[i], wait_often, NULL, 0);
	while (done < MAX_WAITERS) {
		futex6(&first, FUTEX_REQUEUE | FUTEX_PRIVATE, 1, 2, &second, 0);
		sched_yield();
		futex6(&second, FUTEX_REQUEUE | FUTEX_PRIVATE, 1, 1, &first, 0);
		wake(&second, FUTEX_WAKE | FUTEX_PRIVATE);
	}
	join_waiters(MAX_WAITERS);
	EXPECT_EQ(wake(&first, FUTEX_WAKE | FUTEX_PRIVATE), 0);
	EXPECT_EQ(wake(&second, FUTEX_WAKE | FUTEX_PRIVATE), 0);
}

static const struct ktap_test tests[] = {
	{ "waiters are moved", test_move }, { "moved to and fro", test_move_back },
	{ "moves that are refused", test_move_refused },
	{ "moved, then timed out", test_move_then_time_out },
	{ "moved, then killed", test_killed }, { "exit_group with waiters", test_exit_group },
	{ "private and shared words", test_keys }, { "timeouts", test_timeouts },
	{ "bit sets", test_bits }, { "bad addresses", test_addresses }, { "all at once", test_storm },
};

int main(void)
{
	shared = (uint32_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
