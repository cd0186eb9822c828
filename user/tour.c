/*
 * tour - shows in a few lines what the machine and the kernel are and do: every line is
 * either asked of the processor, counted by the kernel, or checked here. It must never
 * claim something it has not just seen; a failed check makes the exit status 1.
 */
#include <lib.h>

static int failed;

static void verdict(int ok)
{
	printf("%s\n", ok ? ", right" : ", WRONG");
	failed |= !ok;
}

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static void show_processor(void)
{
	static const struct { uint32_t leaf, reg, bit; const char *name; } features[] = {
		{ 1, 3, 26, "sse2" }, { 1, 2, 28, "avx" }, { 7, 1, 5, "avx2" },
		{ 7, 1, 16, "avx512f" }, { 1, 2, 26, "xsave" }, { 1, 2, 27, "osxsave" },
		{ 7, 2, 3, "pku" }, { 7, 3, 24, "amx" }, { 7, 1, 7, "smep" },
		{ 7, 1, 20, "smap" }, { 7, 2, 2, "umip" },
	};
	struct cpuid c = cpuid(0, 0);
	uint32_t vendor[4] = { c.ebx, c.edx, c.ecx, 0 };
	uint32_t max = c.eax;

	printf("  processor  %s:", (char *)vendor);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		struct cpuid f = cpuid(features[i].leaf, 0);
		uint32_t regs[4] = { f.eax, f.ebx, f.ecx, f.edx };

		if (features[i].leaf <= max && regs[features[i].reg] >> features[i].bit & 1)
			printf(" %s", features[i].name);
	}
	printf("\n");
}

static void show_kernel(void)
{
	struct tarry_stats s = counters();

	printf("  memory     %lu MiB, %lu free\n", s.total_pages / 256, s.free_pages / 256);
	printf("  started    %lu.%03lu s ago, %lu timer ticks, %lu tasks\n",
	       s.uptime_ns / 1000000000, s.uptime_ns / 1000000 % 1000, s.ticks, s.tasks);
}

/* One child sends numbers through a pipe; the parent adds them up. */
static void show_pipe(void)
{
	struct tarry_stats before = counters(), after;
	uint64_t sum = 0, v;
	int fds[2];
	long pid;

	pipe(fds);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		for (v = 1; v <= 1000; v++)
			write(fds[1], &v, sizeof(v));
		exit(7);
	}
	close(fds[1]);
	while (read_full(fds[0], &v, sizeof(v)) == sizeof(v))
		sum += v;
	close(fds[0]);
	pid = wait_status((int)pid);
	after = counters();
	printf("  pipe       a child sent 1..1000 (%lu switches), sum %lu, its status %ld",
	       after.context_switches - before.context_switches, sum, pid);
	verdict(sum == 500500 && pid == 7);
}

/* A child serves: it adds the words it gets. The parent calls it 1000 times. */
static void show_ipc(void)
{
	struct tarry_stats before, after;
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	int wrong = 0;
	long server = fork(), r = 0;

	while (server == 0) {
		r = ipc_reply_wait((int)r, m);
		if (r < 0)
			exit(1);
		m[4] = m[0] + m[1] + m[2] + m[3];
	}
	before = counters();
	for (uint64_t i = 0; i < 1000; i++) {
		m[0] = i, m[1] = i * 2, m[2] = i * 3, m[3] = i * 4, m[4] = 0;
		r = ipc_call((int)server, m);
		wrong += r != 0 || m[4] != i * 10;
	}
	after = counters();
	kill((int)server, SIGKILL);
	wait_status((int)server);
	printf("  messages   1000 calls to a server and back, %lu switches, %d wrong",
	       after.context_switches - before.context_switches, wrong);
	verdict(wrong == 0);
}

static double leibniz(void)
{
	double sum = 0;

	for (unsigned int k = 0; k < 400000; k++)
		sum += (k & 1 ? -4.0 : 4.0) / (2.0 * k + 1.0);
	return sum;
}

static double basel(void)
{
	double sum = 0;

	for (unsigned int k = 1; k < 400000; k++)
		sum += 6.0 / ((double)k * (double)k);
	return sum;
}

/* Two processes compute at once in the same registers; each must get what it gets alone. */
static void show_float(void)
{
	struct tarry_stats before, after;
	double alone[2] = { leibniz(), basel() }, result[2] = { 0, 0 };
	int fds[2];

	before = counters();
	for (int i = 0; i < 2; i++) {
		pipe(fds);
		if (fork() == 0) {
			double v = i ? basel() : leibniz();

			write(fds[1], &v, sizeof(v));
			exit(0);
		}
		close(fds[1]);
		dup2(fds[0], 10 + i);
		close(fds[0]);
	}
	for (int i = 0; i < 2; i++) {
		read_full(10 + i, &result[i], sizeof(double));
		close(10 + i);
		wait4(-1, NULL, 0);
	}
	after = counters();
	printf("  floats     two processes at once, %lu ticks, %lu switches:\n",
	       after.ticks - before.ticks, after.context_switches - before.context_switches);
	printf("             pi %.5f, pi*pi %.5f, same bits as alone", result[0], result[1]);
	verdict(memcmp(alone, result, sizeof(alone)) == 0 && result[0] > 3.14 && result[0] < 3.15);
}

static void show_crash(const char *kind, int expected)
{
	char *argv[] = { "/bin/crash", (char *)kind, NULL };
	int status = run(argv);

	printf("  crash      a program that does \"%s\" ends with status %d, %s", kind, status,
	       status > 128 ? signal_text(status - 128) : "alive");
	verdict(status == expected);
}

int main(void)
{
	struct tarry_stats first = counters(), last;

	puts("Tarry is a kernel to read. A short tour:");
	show_processor();
	show_kernel();
	show_pipe();
	show_ipc();
	show_float();
	show_crash("null", 128 + SIGSEGV);
	show_crash("ud", 128 + SIGILL);
	last = counters();
	printf("  after all  %ld pages fewer free than at the start, %lu page faults\n",
	       (long)(first.free_pages - last.free_pages), last.page_faults - first.page_faults);
	printf("%s Type help for the commands of the shell.\n",
	       failed ? "Something above is WRONG." : "All of it was checked as it went.");
	return failed;
}
