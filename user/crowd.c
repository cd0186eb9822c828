/*
 * crowd tasks|cpus - what many tasks and many CPUs cost, for tools/crowd.py, which explains the lines. Like
 * bench.c's, the figures mean something where the time stamp counter counts instructions, and nothing may be
 * printed while something is counted.
 *
 *   switch TASKS INSTRUCTIONS MODEL    of one switch among so many runnable tasks; those inside the model
 *   memory WHAT BYTES                  of the machine, that one more idle task takes
 *   cpus N ALL COMPUTED IDLE TICKS     instructions of all CPUs, and of their programs; ticks that found a CPU idle
 *   task N INSTRUCTIONS                one of those programs
 */
#include <bench.h>
#include <crowd.h>

enum { MAX_TASKS = 1000, MAX_ROUNDS = 512, SWITCHES = 16000, MAX_COMPUTERS = 16 };

#define MMAP_RW (PROT_READ | PROT_WRITE)
#define SPREAD_MS 50  /* until each task has found a CPU */
#define COMPUTE_MS 200

/* One block of computing: so many turns of two instructions, and five around them. */
#define TURNS 1000
#define BLOCK_INSTRUCTIONS (2 * TURNS + 5)

static volatile struct shared {
	uint32_t stop;
	struct {
		uint64_t blocks, room[7];
	} computers[MAX_COMPUTERS];
} *shared;

static uint32_t samples[MAX_ROUNDS];
static int pids[MAX_TASKS];

static _Noreturn void fail(const char *what, long error)
{
	dprintf(2, "crowd: %s: %s\n", what, error_text(error));
	exit(1);
}

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static void start(int n, void (*program)(int))
{
	shared->stop = 0;
	for (int i = 0; i < n; i++) {
		long pid = fork();

		if (pid < 0)
			fail("fork", pid);
		pids[i] = (int)pid;
		if (pid == 0)
			program(i);
	}
}

static void end(int n)
{
	shared->stop = 1;
	for (int i = 0; i < n; i++)
		wait4(pids[i], NULL, 0);
}

/* --- Switches --- */

static void yield_until_stopped(int number)
{
	(void)number;
	while (!shared->stop)
		bare_call(SYS_sched_yield);
	exit(0);
}

/* From our call to our return all others have run once. */
static void round_robin(int tasks)
{
	int rounds = SWITCHES / tasks < MAX_ROUNDS ? SWITCHES / tasks : MAX_ROUNDS;
	struct tarry_stats before, after;

	start(tasks - 1, yield_until_stopped);
	for (int i = 0; i < 3; i++) /* all have begun */
		bare_call(SYS_sched_yield);
	before = counters();
	for (int i = 0; i < rounds; i++) {
		uint64_t begin = now();

		bare_call(SYS_sched_yield);
		samples[i] = (uint32_t)(now() - begin);
	}
	after = counters();
	end(tasks - 1);
	sort(samples, (size_t)rounds);
	printf("switch %d %u %lu\n", tasks, samples[rounds / 2] / (uint32_t)tasks,
	       (after.model_ticks - before.model_ticks) / (after.context_switches - before.context_switches));
}

/* --- Memory --- */

static void print_memory(const char *what, long bytes)
{
	if (bytes < 0)
		fail(what, bytes);
	printf("memory %s %ld\n", what, bytes);
}

static void idle_integer_threads(void)
{
	char *argv[] = { "/bin/intcrowd", NULL };
	long bytes = -EIO, pid;
	int fds[2];

	pipe(fds);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		exit((int)execve(argv[0], argv, environ));
	}
	close(fds[1]);
	read_full(fds[0], &bytes, sizeof(bytes));
	wait4((int)pid, NULL, 0);
	print_memory("integer-only-thread", bytes);
}

static const char *server;

static void serve(int number)
{
	char *argv[] = { (char *)server, NULL };

	(void)number;
	close(1); /* one of them would talk */
	exit((int)execve(server, argv, environ));
}

/* Whoever has answered has touched what it needs, and sleeps. */
static void idle_processes(const char *what, const char *path)
{
	uint64_t before = free_bytes(), after;

	server = path;
	start(IDLE_TASKS, serve);
	for (int i = 0; i < IDLE_TASKS; i++) {
		uint64_t message[TARRY_IPC_WORDS] = { 0 };
		long result = ipc_call(pids[i], message);

		if (result < 0)
			fail(path, result);
	}
	after = free_bytes();
	for (int i = 0; i < IDLE_TASKS; i++)
		kill(pids[i], SIGKILL);
	end(IDLE_TASKS);
	print_memory(what, (long)((before - after) / IDLE_TASKS));
}

/* --- CPUs --- */

/* PAUSE lets QEMU go on with the next CPU: under -icount they take turns, and else only when some timer is due. */
static void compute(int number)
{
	__asm__ volatile("1: movl %2, %%ecx\n"
			 "2: decl %%ecx\n"
			 "jnz 2b\n"
			 "pause\n"
			 "incq %0\n"
			 "cmpl $0, %1\n"
			 "je 1b"
			 : "+m"(shared->computers[number].blocks)
			 : "m"(shared->stop), "i"(TURNS)
			 : "ecx", "cc");
	exit(0);
}

static uint64_t blocks_of(int n)
{
	return shared->computers[n].blocks;
}

static void share_cpus(void)
{
	struct tarry_stats before = counters(), after;
	uint64_t blocks[MAX_COMPUTERS], all, computed = 0;
	int n = (int)before.cpus;

	start(n, compute);
	sleep_ms(SPREAD_MS);
	before = counters();
	all = now();
	for (int i = 0; i < n; i++)
		blocks[i] = blocks_of(i);
	sleep_ms(COMPUTE_MS);
	for (int i = 0; i < n; i++)
		blocks[i] = blocks_of(i) - blocks[i];
	all = now() - all;
	after = counters();
	end(n);
	for (int i = 0; i < n; i++)
		computed += blocks[i] * BLOCK_INSTRUCTIONS;
	printf("cpus %d %lu %lu %lu %lu\n", n, all, computed, after.idle_ticks - before.idle_ticks,
	       after.ticks - before.ticks);
	for (int i = 0; i < n; i++)
		printf("task %d %lu\n", i, blocks[i] * BLOCK_INSTRUCTIONS);
}

static void count_tasks(void)
{
	static const int crowds[] = { 2, 10, 100, MAX_TASKS };

	for (size_t i = 0; i < ARRAY_SIZE(crowds); i++)
		round_robin(crowds[i]);
	print_memory("thread", memory_of_thread());
	idle_integer_threads();
	idle_processes("process", "/bin/ipcserver");
	idle_processes("integer-only-process", "/bin/intserver");
}

int main(int argc, char **argv)
{
	long address = mmap(NULL, sizeof(*shared), MMAP_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address < 0)
		fail("memory", address);
	shared = (volatile struct shared *)address;
	if (argc == 2 && strcmp(argv[1], "cpus") == 0) {
		share_cpus();
	} else if (argc == 2 && strcmp(argv[1], "tasks") == 0) {
		count_tasks();
	} else {
		dprintf(2, "usage: crowd tasks|cpus\n");
		return 2;
	}
	return 0;
}
