/*
 * affinity - which CPUs a task may run on. Catches: a mask that is not kept, not inherited, or
 * given to the wrong thread; a task that runs where it may not; a set without any CPU accepted;
 * sizes and addresses that get the better of the kernel. Works with any number of CPUs.
 */
#include "threads.h"

static uint64_t all;			/* the CPUs there are */

static long set(int tid, uint64_t mask)
{
	return syscall3(SYS_sched_setaffinity, tid, sizeof(mask), &mask);
}

static uint64_t get(int tid)
{
	uint64_t mask = 0;

	EXPECT(syscall3(SYS_sched_getaffinity, tid, sizeof(mask), &mask) >= 8);
	return mask;
}

static unsigned int cpu(void)
{
	unsigned int number = 999;

	EXPECT_EQ(syscall3(SYS_getcpu, &number, NULL, NULL), 0);
	return number;
}

static void test_set(void)
{
	for (int i = 0; i < 64; i++) {
		long wanted = all >> i & 1 ? 0 : -EINVAL;

		EXPECT_EQ(set(0, 1UL << i), wanted);
		if (wanted)
			continue;
		EXPECT_EQ(get(0), 1L << i);
		EXPECT_EQ(cpu(), i);
		sched_yield();
		sleep_ms(1);
		EXPECT_EQ(cpu(), i);
	}
	EXPECT_EQ(set(0, UINT64_MAX), 0);
	EXPECT_EQ(get(0), all);
	EXPECT_EQ(set(0, 0), -EINVAL);
	EXPECT_EQ(set(0, ~all), all == UINT64_MAX ? 0 : -EINVAL);
	EXPECT_EQ(get(0), all);
}

static void test_sizes(void)
{
	static uint64_t masks[32];
	uint32_t half = (uint32_t)all;

	masks[0] = all;
	masks[1] = UINT64_MAX;		/* beyond what there can be: ignored or not there */
	EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, sizeof(masks), masks), 0);
	EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, 4, &half), 0);
	EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, 1, masks), 0);
	EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, 0, masks), -EINVAL);
	EXPECT_EQ(set(0, all), 0);
	EXPECT(syscall3(SYS_sched_getaffinity, 0, sizeof(masks), masks) >= 8);
	EXPECT_EQ(masks[0], all);
	EXPECT_EQ(syscall3(SYS_sched_getaffinity, 0, 0, masks), -EINVAL);
	EXPECT_EQ(syscall3(SYS_sched_getaffinity, 0, 7, masks), -EINVAL);
	EXPECT_EQ(syscall3(SYS_sched_getaffinity, 0, 12, masks), -EINVAL);
}

static void test_addresses(void)
{
	static const uint64_t bad[] = { 0, 8, 0x7fffffffffff, 0x800000000000, 0xffffffff80000000 };
	unsigned int number, node = 77;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, 8, bad[i]), -EFAULT);
		EXPECT_EQ(syscall3(SYS_sched_getaffinity, 0, 128, bad[i]), -EFAULT);
		if (!bad[i])
			continue;
		EXPECT_EQ(syscall3(SYS_getcpu, bad[i], NULL, NULL), -EFAULT);
		EXPECT_EQ(syscall3(SYS_getcpu, NULL, bad[i], NULL), -EFAULT);
	}
	EXPECT_EQ(syscall3(SYS_getcpu, NULL, NULL, NULL), 0);
	EXPECT_EQ(syscall3(SYS_getcpu, &number, &node, NULL), 0);
	EXPECT_EQ(node, 0);
	EXPECT_EQ(set(0x3fffffff, all), -ESRCH);
	EXPECT_EQ(set(-1, all), -ESRCH);
	EXPECT_EQ(syscall3(SYS_sched_getaffinity, 0x3fffffff, 128, &number), -ESRCH);
}

static uint64_t one;			/* a single CPU */

static int check_inherited(void *argument)
{
	*(volatile uint64_t *)argument = get(0);
	return 0;
}

static void test_inherited(void)
{
	char *argv[] = { "affinity", "--exec", NULL };
	uint64_t seen = 0;
	int status = -1;

	EXPECT_EQ(set(0, one), 0);
	thread_start(&threads[0], check_inherited, &seen, 0);
	thread_join(&threads[0]);
	EXPECT_EQ(seen, one);
	if (fork() == 0)
		execve((const char *)getauxval(AT_EXECFN), argv, environ);
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 55 << 8);
	EXPECT_EQ(set(0, all), 0);
}

static volatile int go;

static int spin(void *argument)
{
	(void)argument;
	go = 1;
	while (go)
		__asm__ volatile("pause");
	return 0;
}

/* Another thread's, and another process's, while they run: each has its own. */
static void test_others(void)
{
	int tid;
	long pid = fork();

	if (pid == 0)
		for (;;)
			__asm__ volatile("pause");
	EXPECT_EQ(set((int)pid, one), 0);
	EXPECT_EQ(get((int)pid), one);
	EXPECT_EQ(get(0), all);
	kill((int)pid, SIGKILL);
	wait4((int)pid, NULL, 0);
	EXPECT_EQ(set((int)pid, all), -ESRCH);

	go = 0;
	thread_start(&threads[0], spin, NULL, 0);
	while (!go)
		sched_yield();
	tid = threads[0].ptid;
	EXPECT_EQ(set(tid, one), 0);
	EXPECT_EQ(get(tid), one);
	EXPECT_EQ(get(0), all);
	EXPECT_EQ(set(tid, all & ~one), all & ~one ? 0 : -EINVAL);
	go = 0;
	thread_join(&threads[0]);
}

static const struct ktap_test tests[] = {
	{ "one after the other", test_set }, { "sizes", test_sizes },
	{ "addresses and threads", test_addresses }, { "inherited", test_inherited },
	{ "of others", test_others },
};

int main(int argc, char **argv)
{
	all = 0;
	if (syscall3(SYS_sched_getaffinity, 0, sizeof(all), &all) < 0)
		return 1;
	one = 1UL << (63 - __builtin_clzl(all));
	if (argc > 1 && strcmp(argv[1], "--exec") == 0)
		return all && !(all & (all - 1)) ? 55 : 56;
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
