/*
 * ptracerace - tracers that end, SIGKILL and stops at any moment, with several CPUs, tracers and threads, as on
 * Linux. Catches: a tracee that is read or let go while it is not stopped; a wake-up or SIGKILL that is lost, or that
 * runs a frozen one; what nobody gives back.
 */
#include "ptrace.h"
#include "shared.h"
#include "threads.h"

enum { PTRACE_O_EXITKILL = 1 << 20 };

/* --- Tracers that end --- */

enum { AT_SIGNAL, AT_CALL, RUNNING, STEPPING, IN_STOP, WAYS };

/* A tracer that leaves its tracee in one of these states, and is killed or ends. */
static void leave(int way, int options, int victim)
{
	tracee = victim;
	ptrace(PTRACE_ATTACH, NULL, 0);
	next_stop();
	ptrace(PTRACE_SETOPTIONS, NULL, (uint64_t)options);
	if (way == AT_CALL)
		go(PTRACE_SYSCALL, 0);
	if (way == RUNNING)
		ptrace(PTRACE_CONT, NULL, 0);
	for (int i = 0; way == STEPPING && i < 10; i++)
		go(PTRACE_SINGLESTEP, 0);
	if (way == STEPPING)
		ptrace(PTRACE_SINGLESTEP, NULL, 0);
	if (way == IN_STOP)
		go(PTRACE_CONT, SIGSTOP);
}

static void calls_until_told(void)
{
	while (!shared[0])
		syscall0(SYS_getppid);
}

static void one_end(int way, int options, int killed)
{
	int status = -1;
	long victim, tracer;

	shared[0] = shared[3] = 0;
	victim = start_untraced(calls_until_told);
	tracer = fork();
	if (tracer == 0) {
		leave(way, options, (int)victim);
		shared[3] = 1;
		if (killed)
			sleeper();
		exit(0);
	}
	while (!shared[3])
		sched_yield();
	if (killed)
		kill((int)tracer, SIGKILL);
	EXPECT_EQ(wait4((int)tracer, &status, 0), tracer);
	if (way == IN_STOP && !options) {
		EXPECT_EQ(wait4((int)victim, &status, WUNTRACED), victim);
		EXPECT_EQ(status, STOPPED(SIGSTOP));
		kill((int)victim, SIGCONT);
	}
	shared[0] = 1;
	EXPECT_EQ(wait4((int)victim, &status, 0), victim);
	if (way == STEPPING && status == SIGTRAP)
		status = 0; /* the last step's, which nobody has waited for */
	EXPECT_EQ(status, options ? SIGKILL : 0);
}

static void tracers_end(void)
{
	for (int i = 0; i < WAYS * 4; i++) {
		int before = ktap_failed;

		one_end(i % WAYS, i / WAYS & 1 ? PTRACE_O_EXITKILL : 0, i / WAYS / 2);
		if (ktap_failed != before)
			FAIL("way %d, EXITKILL %d, killed %d", i % WAYS, i / WAYS & 1, i / WAYS / 2);
	}
}

/* --- SIGKILL at any moment --- */

#define KILLS 60

/* The tracer sees stops, then the end, or is told that there is nobody; it never waits for ever. */
static int watch_the_dying(int victim)
{
	struct user_regs regs;
	int status;

	tracee = victim;
	if (ptrace(PTRACE_ATTACH, NULL, 0) < 0)
		return 0;
	for (;;) {
		if (wait4(tracee, &status, WALL) != tracee)
			return 1;
		if ((status & 0x7f) != 0x7f)
			return status == SIGKILL ? 0 : 2;
		for (int i = 0; i < 5; i++) {
			ptrace(PTRACE_GETREGS, NULL, (uint64_t)&regs);
			ptrace(PTRACE_SETREGS, NULL, (uint64_t)&regs);
		}
		ptrace(PTRACE_SYSCALL, NULL, 0);
	}
}

static void kills(void)
{
	for (int i = 0; i < KILLS; i++) {
		int status = -1;
		long victim, tracer;

		shared[0] = 0;
		victim = start_untraced(calls_until_told);
		tracer = fork();
		if (tracer == 0)
			exit(watch_the_dying((int)victim));
		for (int n = 0; n < i % 16; n++)
			sched_yield();
		kill((int)victim, SIGKILL);
		EXPECT_EQ(wait4((int)victim, &status, 0), victim);
		EXPECT_EQ(status, SIGKILL);
		EXPECT_EQ(wait4((int)tracer, &status, 0), tracer);
		EXPECT_EQ(status, 0);
	}
}

/* --- Several tracers, and stops from outside --- */

#define TURNS 40

static int attach_again_and_again(int victim)
{
	struct user_regs regs;
	int failures = 0, status;

	tracee = victim;
	for (int i = 0; i < TURNS;) {
		long result = ptrace(PTRACE_ATTACH, NULL, 0);

		if (result == -EPERM) {
			sched_yield();
			continue;
		}
		failures += result != 0 || wait4(tracee, &status, WALL) != tracee || (status & 0xff) != 0x7f;
		failures += ptrace(PTRACE_GETREGS, NULL, (uint64_t)&regs) != 0 || regs.cs != 0x33;
		failures += ptrace(PTRACE_DETACH, NULL, 0) != 0;
		i++;
	}
	return failures != 0;
}

/* Two take turns as tracer, a third stops and continues it. */
static void three_of_them(void)
{
	long victim, tracers[2];
	int status = -1;

	shared[0] = shared[1] = 0;
	victim = start_untraced(spinner);
	for (int i = 0; i < 2; i++) {
		tracers[i] = fork();
		if (tracers[i] == 0)
			exit(attach_again_and_again((int)victim));
	}
	for (int i = 0; i < TURNS; i++) {
		kill((int)victim, SIGSTOP);
		sched_yield();
		kill((int)victim, SIGCONT);
		sched_yield();
	}
	for (int i = 0; i < 2; i++) {
		while (wait4((int)tracers[i], &status, WNOHANG) == 0) {
			kill((int)victim, SIGCONT);
			sched_yield();
		}
		EXPECT_EQ(status, 0);
	}
	shared[0] = 1;
	kill((int)victim, SIGCONT);
	EXPECT_EQ(wait4((int)victim, &status, 0), victim);
	EXPECT_EQ(status, 0);
}

/* --- Threads --- */

static int count_up(void *argument)
{
	volatile int *counter = argument;

	while (!shared[0])
		++*counter;
	return 0;
}

static void spinning_threads(void)
{
	for (int i = 0; i < THREADS; i++)
		thread_start(&threads[i], count_up, (void *)&shared[8 + i], 0);
	shared[3] = 1;
	for (int i = 0; i < THREADS; i++)
		thread_join(&threads[i]);
}

/* After the stop is told no thread runs, wherever it was; after SIGCONT all do. */
static void thread_group(void)
{
	int before[THREADS], status = -1;
	long pid;

	shared[0] = shared[3] = 0;
	pid = start_untraced(spinning_threads);
	while (!shared[3])
		sched_yield();
	for (int i = 0; i < 10; i++) {
		kill((int)pid, SIGSTOP);
		EXPECT_EQ(wait4((int)pid, &status, WUNTRACED), pid);
		EXPECT_EQ(status, STOPPED(SIGSTOP));
		for (int n = 0; n < THREADS; n++)
			before[n] = shared[8 + n];
		sleep_ms(3);
		for (int n = 0; n < THREADS; n++)
			EXPECT_EQ(shared[8 + n], before[n]);
		kill((int)pid, SIGCONT);
		for (int n = 0; n < THREADS; n++)
			while (shared[8 + n] == before[n])
				sched_yield();
	}
	shared[0] = 1;
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

static int run_program(void *argument)
{
	char *argv[] = { "/bin/true", NULL };

	(void)argument;
	while (!shared[4])
		sched_yield();
	execve(argv[0], argv, environ);
	return 1;
}

static void exec_in_a_thread(void)
{
	thread_start(&threads[0], run_program, NULL, 0);
	shared[3] = threads[0].ptid;
	sleeper();
}

/* exec by a thread that is not the first: it becomes the first, its tracer knows it by that pid from then on. */
static void thread_execs(void)
{
	long process;
	int status = -1;

	if (!on_tarry())
		SKIP("/bin/true needs another library elsewhere");
	shared[3] = shared[4] = 0;
	process = start_untraced(exec_in_a_thread);
	while (!shared[3])
		sched_yield();
	tracee = shared[3];
	EXPECT_EQ(ptrace(PTRACE_ATTACH, NULL, 0), 0);
	EXPECT_EQ(next_stop(), STOPPED(SIGSTOP));
	shared[4] = 1;
	EXPECT_EQ(ptrace(PTRACE_CONT, NULL, 0), 0);
	tracee = (int)process;
	EXPECT_EQ(next_stop(), STOPPED(SIGTRAP));
	EXPECT_EQ(go(PTRACE_CONT, 0), 0);
	EXPECT_EQ(wait4(-1, &status, WALL), -ECHILD);
}

static const struct ktap_test tests[] = {
	{ "tracers that end", tracers_end },
	{ "SIGKILL at any moment", kills },
	{ "two tracers, and stops from outside", three_of_them },
	{ "no thread runs in a stop", thread_group },
	{ "exec in another thread", thread_execs },
};

int main(void)
{
	return run_with_shared(tests, (int)ARRAY_SIZE(tests));
}
