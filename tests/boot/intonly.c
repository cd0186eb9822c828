/*
 * intonly - integer-only programs: they have no vector registers, die of their first vector
 * instruction, take less memory, and calling one over IPC costs what the boot option promises.
 * Catches: registers of the caller lost or seen by the callee, a load that should have been
 * avoided, an instruction that slips through, a program that cannot become an ordinary one.
 */
#include "registers.h"

enum { CALLS = 1000, FEW = 100, TASKS = 40 };

static const char *const policies[] = { "deferred", "eager", "lazy" };

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* Returns when the program has begun: until then the child is a copy of us, registers and all. */
static int start(const char *path)
{
	char *argv[] = { (char *)path, NULL }, byte;
	int fds[2];
	long pid;

	pipe2(fds, O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		dup2((int)open("/etc/argv", O_RDONLY), 1);	/* quiet: a file that can't be written */
		execve(path, argv, environ);
		exit(99);
	}
	close(fds[1]);
	read(fds[0], &byte, 1);
	close(fds[0]);
	return (int)pid;
}

static void stop(int pid)
{
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0);
}

static int crash(const char *kind, const char *file, const char *argument)
{
	char *argv[] = { "/bin/intcrash", (char *)kind, (char *)file, (char *)argument, NULL };

	return run(argv);
}

/* QEMU's software CPU lets XSAVE and XRSTOR pass when CR0.TS is set; a processor raises #NM. */
static int ignores_ts(const char *kind)
{
	struct cpuid c = cpuid(0x40000000, 0);

	return memcmp(&c.ebx, "TCGTCGTCGTCG", 12) == 0 && kind[0] == 'x' && strcmp(kind, "x87") != 0;
}

static void test_instructions(void)
{
	static const char *const kinds[] = { "x87", "fwait", "mmx", "sse", "control", "fxsave",
					     "xsave", "xrstor", "avx" };

	EXPECT_EQ(crash("none", NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int status;

		if (ignores_ts(kinds[i]))
			continue;
		status = crash(kinds[i], NULL, NULL);
		if (status != 128 + SIGSEGV && (avx || strcmp(kinds[i], "avx") != 0))
			FAIL("%s: status %d", kinds[i], status);
	}
	EXPECT_EQ(crash("fork", NULL, NULL), 128 + SIGSEGV);
}

static void test_exec(void)
{
	EXPECT_EQ(crash("exec", "/test/fpu", "--fresh"), 0);
	EXPECT_EQ(crash("exec", "/bin/intcrash", "none"), 0);
	EXPECT_EQ(crash("exec", "/bin/intcrash", "sse"), 128 + SIGSEGV);
}

/* The client's registers, all of them, stay as they are across a thousand calls. */
static struct tarry_stats call_many(void)
{
	struct tarry_stats before, after;
	int server = start("/bin/intserver");

	sleep_ms(20);
	make_pattern(&want, 271828);
	before = counters();
	keep_calling(TARRY_SYS_IPC_CALL, server, CALLS);
	after = counters();
	compare(0);
	stop(server);
	after.fpu_loads -= before.fpu_loads;
	after.fpu_init_loads -= before.fpu_init_loads;
	after.fpu_loads_avoided -= before.fpu_loads_avoided;
	after.context_switches -= before.context_switches;
	printf("# %s, intonly=%s: %d calls: %lu loads, %lu of the initial image, %lu avoided\n",
	       policies[after.policy], after.keep_registers ? "ts" : "init", CALLS,
	       after.fpu_loads, after.fpu_init_loads, after.fpu_loads_avoided);
	return after;
}

static void test_calls(void)
{
	struct tarry_stats s = call_many();

	EXPECT(s.context_switches >= 2 * CALLS);
	if (s.keep_registers) {
		EXPECT(s.fpu_loads < FEW);
		EXPECT(s.fpu_init_loads < FEW);
		/*
		 * A mix of the entropy pool displaces the client's registers; lazy never needs
		 * them back, and eager loads where it can't be avoided any more.
		 */
		if (s.policy == TARRY_POLICY_DEFERRED)
			EXPECT(s.fpu_loads_avoided > CALLS - FEW);
	} else {
		/*
		 * Under lazy the client loads only when it uses its registers, which is once; until
		 * then they keep the initial image.
		 */
		if (s.policy == TARRY_POLICY_LAZY) {
			EXPECT(s.fpu_loads < FEW);
			EXPECT(s.fpu_init_loads >= 1);
		} else {
			EXPECT(s.fpu_loads >= CALLS && s.fpu_loads < CALLS + FEW);
			EXPECT(s.fpu_init_loads >= CALLS);
		}
	}
}

/* The kernel's heap while they run. */
static uint64_t heap_with(const char *path)
{
	uint64_t pages;
	int pids[TASKS];

	for (int i = 0; i < TASKS; i++)
		pids[i] = start(path);
	sleep_ms(100);
	pages = counters().heap_pages;
	for (int i = 0; i < TASKS; i++)
		stop(pids[i]);
	return pages;
}

/* Twice, for the heap may keep some of what others before them have left. */
static void test_memory(void)
{
	uint64_t without = ~0ul, with = ~0ul;

	for (int i = 0; i < 2; i++) {
		uint64_t less = heap_with("/bin/intserver"), more = heap_with("/bin/ipcserver");

		without = less < without ? less : without;
		with = more < with ? more : with;
	}
	printf("# %d programs: a heap of %lu pages if integer-only, %lu if not\n", TASKS, without, with);
	EXPECT(without + TASKS / 10 <= with);
}

static const struct ktap_test tests[] = {
	{ "every vector instruction kills", test_instructions },
	{ "exec between the two kinds", test_exec }, { "calls to a server", test_calls },
	{ "memory", test_memory },
};

int main(void)
{
	detect();
	stay_on_cpus(ONE_CPU);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
