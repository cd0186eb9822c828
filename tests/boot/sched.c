/*
 * sched - time: fair shares, sleeping, clocks, preemption, wait queues. Catches: a slice
 * that never ends, sleeps that are too short or are lost, a clock that steps back, and a
 * kernel that is not preemptible where it should be, or is where it must not be.
 */
#include "ktap.h"

static uint64_t *shared;		/* one page that children write and the parent reads */

/* No calls in the loop: what a call costs may differ between emulated processes. */
static void spin_counting(int slot, volatile uint64_t *stop)
{
	volatile uint64_t *count = &shared[slot];

	while (!*stop)
		(*count)++;
	exit(0);
}

static uint64_t percent(uint64_t part, uint64_t sum)
{
	return sum ? part * 100 / sum : 0;
}

/* Spinning children for half a second: nobody may get less than `least` percent. */
static void expect_share(int children, uint64_t least)
{
	volatile uint64_t *stop = &shared[children];
	uint64_t sum = 0;

	memset(shared, 0, PAGE_SIZE);
	stay_on_cpus(ONE_CPU);
	for (int i = 0; i < children; i++)
		if (fork() == 0)
			spin_counting(i, stop);
	stay_on_cpus(ALL_CPUS);
	sleep_ms(500);
	*stop = 1;
	for (int i = 0; i < children; i++)
		wait4(-1, NULL, 0);
	for (int i = 0; i < children; i++)
		sum += shared[i];
	for (int i = 0; i < children; i++)
		if (percent(shared[i], sum) < least)
			FAIL("child %d of %d got %lu %%", i, children, percent(shared[i], sum));
}

static void test_two_shares(void)
{
	expect_share(2, 25);
}

static void test_shares(void)
{
	expect_share(3, 16);
}

/* Catches: rounding down to a tick; a sleeper that only wakes when others stop. */
static void test_sleep(void)
{
	static const uint64_t lengths[] = { 0, 1, 100000, 999999, 1000001, 5000000, 20000000,
					    150000000 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct timespec t = { 0, (int64_t)lengths[i] };
		uint64_t start = now_ns(), took;

		EXPECT_EQ(nanosleep(&t, NULL), 0);
		took = now_ns() - start;
		if (took < lengths[i])
			FAIL("asked for %lu ns, slept %lu", lengths[i], took);
		if (took > lengths[i] + 500000000)
			FAIL("asked for %lu ns, slept %lu: too long", lengths[i], took);
	}
}

static void test_sleep_beside_spinner(void)
{
	uint64_t start = now_ns(), took;
	long pid;

	pid = fork();
	if (pid == 0)
		for (;;)
			__asm__ volatile("pause");
	for (int i = 0; i < 5; i++)
		sleep_ms(10);
	took = now_ns() - start;
	EXPECT(took >= 50000000);
	EXPECT(took < 2000000000);
	kill((int)pid, SIGKILL);
	wait4((int)pid, NULL, 0);
}

static void test_sleep_arguments(void)
{
	static const struct timespec bad[] = { { 0, -1 }, { 0, 1000000000 }, { -1, 0 },
					       { 0, INT64_MAX }, { 0, INT64_MIN } };
	struct timespec t = { 0, 1000000 }, past = { 0, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(nanosleep(&bad[i], NULL), -EINVAL);
		EXPECT_EQ(syscall4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad[i], 0), -EINVAL);
	}
	EXPECT_EQ(syscall4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, 0), 0);
	EXPECT_EQ(syscall4(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &past, 0), 0);
	EXPECT_EQ(syscall4(SYS_clock_nanosleep, 77, 0, &t, 0), -EINVAL);
	EXPECT_EQ(clock_gettime(77, &t), -EINVAL);
	EXPECT_EQ(clock_gettime(-99, &t), -EINVAL);
}

static void sleep_for_ages(void)
{
	struct timespec t = { INT64_MAX, 999999999 };

	exit(nanosleep(&t, NULL) == 0);
}

/* Catches: seconds times 10^9 that overflow to a short sleep. */
static void test_endless_sleep(void)
{
	int status;
	long pid = fork();

	if (pid == 0)
		sleep_for_ages();
	sleep_ms(60);
	EXPECT_EQ(wait4((int)pid, &status, WNOHANG), 0);
	kill((int)pid, SIGKILL);
	wait4((int)pid, NULL, 0);
}

/* Sleepers started in one order wake in that of their times. False if not: the host may have kept one from starting. */
static int woken_in_order(void)
{
	static const uint64_t ms[] = { 120, 40, 80, 0, 160 };
	int fds[2], slot, last = -1, order = 1;

	pipe(fds);
	for (int i = 0; i < (int)ARRAY_SIZE(ms); i++)
		if (fork() == 0) {
			sleep_ms(ms[i]);
			write(fds[1], &i, sizeof(i));
			exit(0);
		}
	close(fds[1]);
	while (read_full(fds[0], &slot, sizeof(slot)) == sizeof(slot)) {
		order &= last < 0 || ms[slot] > ms[last];
		last = slot;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ms); i++)
		wait4(-1, NULL, 0);
	close(fds[0]);
	return order;
}

static void test_sleep_order(void)
{
	int order = 0;

	for (int i = 0; i < 5 && !order; i++)
		order = woken_in_order();
	EXPECT(order);
}

/* Catches: a clock read torn between tick and TSC; one that differs between processes. */
static void test_clock(void)
{
	uint64_t last = now_ns(), end = last + 200000000;
	long pid = fork();
	int status = 0, steps = 0;

	while (last < end) {
		uint64_t now = now_ns();

		if (now < last)
			steps++;
		last = now;
	}
	EXPECT_EQ(steps, 0);
	if (pid == 0)
		exit(steps != 0);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
}

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

enum { SPIN_TICKS = 40, MANY_TICKS = 35 };

/*
 * A child spins in the kernel for SPIN_TICKS; the parent, asleep for a moment, must run
 * meanwhile if and only if the kernel is preemptible there.
 */
static uint64_t ticks_until_parent_runs(long command)
{
	uint64_t before = counters().ticks, after;
	int status = -1;
	long pid = fork();

	if (pid == 0)
		exit(debug(command, SPIN_TICKS) != 0);
	sleep_ms(2);
	after = counters().ticks;
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
	EXPECT(counters().ticks - before >= SPIN_TICKS);
	return after - before;
}

/* One time is enough: the host may stop us for longer than the child spins. */
static void test_preemption(void)
{
	uint64_t ticks = SPIN_TICKS;

	if (!debug_allowed())
		SKIP("no debug calls");
	stay_on_cpus(ONE_CPU);
	for (int i = 0; i < 5 && ticks >= MANY_TICKS; i++)
		ticks = ticks_until_parent_runs(TARRY_DEBUG_SPIN);
	stay_on_cpus(ALL_CPUS);
	if (ticks >= MANY_TICKS)
		FAIL("preemptible, but the parent ran only after %lu ticks", ticks);
}

static void test_no_preemption(void)
{
	uint64_t ticks;

	if (!debug_allowed())
		SKIP("no debug calls");
	stay_on_cpus(ONE_CPU);
	ticks = ticks_until_parent_runs(TARRY_DEBUG_SPIN_NOPREEMPT);
	stay_on_cpus(ALL_CPUS);
	if (ticks < MANY_TICKS)
		FAIL("preemption off, but the parent ran after %lu ticks", ticks);
}

/* Catches: a wake-up that comes between the test and the sleep and is lost. */
static void test_wait_queue(void)
{
	if (!debug_allowed())
		SKIP("no debug calls");
	for (long ms = 0; ms < 60; ms += 7) {
		uint64_t start = now_ns(), took;

		EXPECT_EQ(debug(TARRY_DEBUG_WAKE, ms), 0);
		took = now_ns() - start;
		if (took < (uint64_t)ms * 1000000)
			FAIL("woken after %lu ns, not %ld ms", took, ms);
	}
}

/* Two processes hand a byte to and fro: each switch must be a wake-up that arrives. */
static void test_ping_pong(void)
{
	enum { ROUNDS = 2000 };
	int to[2], from[2], status = -1;
	char c = 0;

	pipe(to);
	pipe(from);
	if (fork() == 0) {
		for (int i = 0; i < ROUNDS; i++) {
			read(to[0], &c, 1);
			c++;
			write(from[1], &c, 1);
		}
		exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		write(to[1], &c, 1);
		read(from[0], &c, 1);
	}
	EXPECT_EQ((unsigned char)c, ROUNDS & 0xff);
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 0);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

static const struct ktap_test tests[] = {
	{ "two spinning processes share", test_two_shares }, { "three share", test_shares },
	{ "sleeping", test_sleep }, { "sleeping beside a spinner", test_sleep_beside_spinner },
	{ "sleeping: arguments", test_sleep_arguments },
	{ "a sleep without end", test_endless_sleep },
	{ "sleepers wake in order", test_sleep_order }, { "clocks", test_clock },
	{ "the kernel is preempted", test_preemption },
	{ "preemption off is kept", test_no_preemption }, { "wait queue", test_wait_queue },
	{ "2000 wake-ups", test_ping_pong },
};

int main(void)
{
	shared = (uint64_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
