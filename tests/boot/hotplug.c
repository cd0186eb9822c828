/*
 * hotplug - CPUs that go and come back under the tasks. Catches: registers cached on a CPU that are taken for
 * valid after it was down; a task that is lost in the queue of a CPU that went, stays there, or comes to another
 * with wrong registers; a message that nobody answers since its CPU has just gone; a CPU that is taken away twice,
 * or is not there; two that come and go at once; a CPU that believes to know what its reset has cleared.
 */
#include "ptrace.h"
#include "registers.h"

enum { CHILDREN = 6, ROUNDS = 6, CACHED_WANTED = 8, CACHED_TRIES = 60, RACERS = 3, RACES = 12 };

static uint64_t cpus;			/* how many there are */
static volatile struct shared {
	int stop;
	uint64_t rounds[CHILDREN];
} *shared;

static uint64_t count_cpus(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s.cpus;
}

static uint64_t cpus_of(int pid)
{
	uint64_t mask = 0;

	syscall3(SYS_sched_getaffinity, pid, sizeof(mask), &mask);
	return mask;
}

static uint32_t current_cpu(void)
{
	uint32_t cpu = ~0U;

	syscall3(SYS_getcpu, &cpu, NULL, NULL);
	return cpu;
}

static long pin(uint64_t cpu)
{
	uint64_t mask = 1UL << cpu;

	return syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
}

static long down(uint64_t cpu)
{
	return debug(TARRY_DEBUG_CPU_OFFLINE, cpu);
}

static long up(uint64_t cpu)
{
	return debug(TARRY_DEBUG_CPU_ONLINE, cpu);
}

static void test_refused(void)
{
	static const uint64_t absent[] = { 63, 64, 1UL << 32, UINT64_MAX };

	EXPECT_EQ(down(0), -EINVAL);
	EXPECT_EQ(up(0), -EINVAL);
	EXPECT_EQ(down(cpus), -EINVAL);
	EXPECT_EQ(up(cpus), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		EXPECT_EQ(down(absent[i]), -EINVAL);
		EXPECT_EQ(up(absent[i]), -EINVAL);
	}
	for (uint64_t n = 1; n < cpus; n++) {
		EXPECT_EQ(up(n), -EINVAL);
		EXPECT_EQ(down(n), 0);
		EXPECT_EQ(down(n), -EINVAL);
		EXPECT_EQ(pin(n), -EINVAL);
		EXPECT_EQ(cpus_of(0), (1L << cpus) - 1 - (1L << n));
		EXPECT_EQ(count_cpus(), cpus - 1);
		EXPECT_EQ(debug(TARRY_DEBUG_CALL, 10), 10 * (cpus - 2));
		EXPECT_EQ(up(n), 0);
		EXPECT_EQ(up(n), -EINVAL);
		EXPECT_EQ(pin(n), 0);
		EXPECT_EQ(current_cpu(), n);
		EXPECT_EQ(count_cpus(), cpus);
		EXPECT_EQ(debug(TARRY_DEBUG_CALL, 10), 10 * (cpus - 1));
		stay_on_cpus(ALL_CPUS);
	}
}

/* All but the first, in any order, and the one that the caller itself is on. */
static void test_all_down(void)
{
	for (uint64_t n = 1; n < cpus; n++) {
		pin(n);
		EXPECT_EQ(down(n), 0);
		EXPECT(current_cpu() != n);
	}
	EXPECT_EQ(cpus_of(0), 1);
	for (uint64_t n = cpus; --n;)
		EXPECT_EQ(up(n), 0);
	EXPECT_EQ(cpus_of(0), (1L << cpus) - 1);
	stay_on_cpus(ALL_CPUS);
}

/* --- Tasks that go on --- */

/* System calls that lose the CPU, a long time without any; mostly on another set of CPUs each time. */
static void one_round(uint32_t who, uint64_t round)
{
	static const struct timespec moment = { 0, 50000 };
	uint64_t mask = (round * 7 + who) % (1UL << cpus);

	if (round % 4)
		syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
	make_pattern(&want, (uint32_t)round * CHILDREN + who);
	switch ((round + who) % 3) {
	case 0:
		keep(SYS_sched_yield, 20);
		break;
	case 1:
		keep(-1, 20000);
		break;
	default:
		keep_calling(SYS_nanosleep, (long)&moment, 2);
	}
	compare(who);
}

/* One in three makes the CPUs forget pages and answer calls instead. */
static void one_message(void)
{
	char *page = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = 1;
	munmap(page, PAGE_SIZE);
	EXPECT(debug(TARRY_DEBUG_CALL, 5) <= (long)(5 * (cpus - 1)));
}

static _Noreturn void live(uint32_t who)
{
	ktap_failed = 0;
	while (!shared->stop && !ktap_failed) {
		if (who % 3)
			one_round(who, shared->rounds[who]);
		else
			one_message();
		shared->rounds[who]++;
	}
	exit(ktap_failed != 0);
}

static void start(int pids[CHILDREN])
{
	shared->stop = 0;
	for (uint32_t i = 0; i < CHILDREN; i++) {
		shared->rounds[i] = 0;
		pids[i] = (int)fork();
		if (pids[i] == 0)
			live(i);
	}
}

static void end(const int pids[CHILDREN])
{
	shared->stop = 1;
	for (int i = 0; i < CHILDREN; i++) {
		int status = -1;

		EXPECT_EQ(wait4(pids[i], &status, 0), pids[i]);
		EXPECT_EQ(status, 0);
	}
}

/* Which it should not. */
static int has_ended(int pid)
{
	uint64_t mask;

	return syscall3(SYS_sched_getaffinity, pid, sizeof(mask), &mask) == -ESRCH;
}

/* A task that stays behind on a CPU that is down makes no more rounds. */
static void expect_all_go_on(const int pids[CHILDREN])
{
	uint64_t before[CHILDREN];

	for (int i = 0; i < CHILDREN; i++)
		before[i] = shared->rounds[i];
	for (int i = 0; i < CHILDREN; i++)
		while (shared->rounds[i] < before[i] + 2 && !has_ended(pids[i]))
			sleep_ms(1);
}

static void test_under_load(void)
{
	int pids[CHILDREN];

	start(pids);
	for (int round = 0; round < ROUNDS; round++)
		for (uint64_t n = 1; n < cpus; n++) {
			EXPECT_EQ(down(n), 0);
			expect_all_go_on(pids);
			EXPECT_EQ(up(n), 0);
			expect_all_go_on(pids);
		}
	end(pids);
}

/* They meet at the same CPUs: one of them is right, the others hear so. */
static _Noreturn void race(uint64_t who)
{
	ktap_failed = 0;
	for (uint64_t i = 0; i < RACES; i++) {
		uint64_t n = 1 + (who + i) % (cpus - 1);
		long result = i % 2 ? up(n) : down(n);

		EXPECT(result == 0 || result == -EINVAL);
	}
	exit(ktap_failed != 0);
}

static void test_at_once(void)
{
	int pids[CHILDREN];

	start(pids);
	for (uint64_t i = 0; i < RACERS; i++)
		if (fork() == 0)
			race(i);
	for (int i = 0; i < RACERS; i++) {
		int status = -1;

		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
	for (uint64_t n = 1; n < cpus; n++)
		up(n);
	EXPECT_EQ(count_cpus(), cpus);
	end(pids);
}

static void spin_pinned(void)
{
	shared->rounds[0] = 0;
	pin(cpus - 1);
	make_pattern(&want, 4711);
	while (current_cpu() == cpus - 1) {
		shared->rounds[0]++;
		keep(-1, 50000);
		compare(1);
	}
	keep(SYS_getpid, 100);
	compare(1);
}

static void test_pinned(void)
{
	int status = -1;
	long pid = fork();

	if (pid == 0) {
		spin_pinned();
		exit(ktap_failed != 0);
	}
	while (!shared->rounds[0])
		sleep_ms(1);
	EXPECT_EQ(down(cpus - 1), 0);
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);	/* it ends as soon as it is elsewhere */
	EXPECT_EQ(status, 0);
	EXPECT_EQ(up(cpus - 1), 0);
}

/* --- Registers that a CPU has forgotten --- */

static _Noreturn void sleep_on(uint64_t cpu, uint32_t seed)
{
	ktap_failed = 0;
	pin(cpu);
	make_pattern(&want, seed);
	shared->rounds[0] = 1;
	keep_calling(TARRY_SYS_IPC_REPLY_WAIT, 0, 1);
	compare(seed);
	exit(ktap_failed != 0);
}

/* True if the child slept while the CPU was away, and woke up there. Nobody else has used its registers since. */
static int sleep_through(uint64_t cpu, uint32_t seed)
{
	uint64_t message[TARRY_IPC_WORDS] = { 0 };
	int status = -1, pid, there;

	shared->rounds[0] = 0;
	pid = (int)fork();
	if (pid == 0)
		sleep_on(cpu, seed);
	while (!shared->rounds[0])
		sleep_ms(1);
	sleep_ms(2);
	EXPECT_EQ(down(cpu), 0);
	EXPECT_EQ(up(cpu), 0);
	there = cpus_of(pid) == 1UL << cpu;	/* else it was runnable, and had to go */
	ipc_call(pid, message);			/* it ends without an answer */
	EXPECT_EQ(wait4(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	return there;
}

static void test_cached(void)
{
	int found = 0, tries = 0;

	pin(0);
	while (found < CACHED_WANTED && tries++ < CACHED_TRIES)
		found += sleep_through(1 + (uint64_t)tries % (cpus - 1), (uint32_t)tries * 99);
	EXPECT_EQ(found, CACHED_WANTED);
	stay_on_cpus(ALL_CPUS);
}

/* --- A traced task's CPU --- */

static void call_on_last(void)
{
	pin(cpus - 1);
	for (int i = 0; i < 20000; i++)
		syscall0(SYS_getppid);
}

/* The CPU has let the tracer look at system calls, and does so again. Else the tracee comes to its end. */
static void test_traced(void)
{
	pin(0);
	start_tracee(call_on_last);
	until_call(SYS_getppid);
	EXPECT_EQ(down(cpus - 1), 0);
	EXPECT_EQ(up(cpus - 1), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(go(PTRACE_SYSCALL, 0), STOPPED(SIGTRAP));
	EXPECT_EQ(cpus_of(tracee), 1UL << (cpus - 1));
	kill_tracee();
	stay_on_cpus(ALL_CPUS);
}

static const struct ktap_test tests[] = {
	{ "refused", test_refused }, { "all down", test_all_down }, { "a pinned task", test_pinned },
	{ "cached registers", test_cached }, { "system calls of a traced task", test_traced },
	{ "under load", test_under_load }, { "at once", test_at_once },
};

int main(void)
{
	cpus = count_cpus();
	if (cpus < 2 || !debug_allowed()) {
		puts("1..0 # SKIP needs several CPUs and the debug call");
		return 0;
	}
	detect();
	shared = (void *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
