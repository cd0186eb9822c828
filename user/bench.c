/*
 * bench.c - what Tarry's operations cost, for tools/bench.py.
 *
 * Prints one line for each operation: "bench NAME minimum median model trace rounds". The figures
 * are differences of two time stamps less the cost of taking them; they mean something under an
 * emulator whose time stamp counter counts instructions (run-qemu.sh --icount). model and trace are
 * the parts of each operation spent inside the model of XSAVES and XRSTORS, and inside the trace if
 * that is on, on the average of all rounds. Nothing may be printed or allocated while something is
 * timed.
 */
#include <bench.h>
#include <lib.h>
#include <sigcontext.h>

#define ROUNDS 512
#define WARM_UP 64
#define TOTAL (WARM_UP + ROUNDS)
#define DRAIN_MS 200 /* the kernel writes out what the trace has recorded of the last operation */
#define MMAP_RW (PROT_READ | PROT_WRITE)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* What the two processes of a measurement share. */
static volatile struct shared {
	uint64_t stamp;
	uint32_t last;	  /* who ran last */
	uint32_t word[2]; /* the futexes */
	uint32_t sample[TOTAL];
} *shared;

static uint64_t empty_pair;

/* An IPC call with whatever the registers hold as its message, both ways. */
static inline long bare_ipc(long nr, long pid)
{
	__asm__ volatile("syscall"
			 : "+a"(nr)
			 : "D"(pid)
			 : "rsi", "rdx", "r10", "r8", "r9", "rcx", "r11", "memory");
	return nr;
}

static void print_row(const char *name, uint64_t minimum, uint64_t median, uint64_t model,
		      uint64_t trace, int rounds)
{
	printf("bench %s %lu %lu %lu %lu %d\n", name, minimum, median, model, trace, rounds);
}

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* The samples behind the warm-up; the counters are from before all operations. */
static void report(const char *name, const struct tarry_stats *before, uint64_t operations)
{
	uint32_t *samples = (uint32_t *)shared->sample + WARM_UP;
	struct tarry_stats after = counters();

	sort(samples, ROUNDS);
	print_row(name, samples[0] - empty_pair, samples[ROUNDS / 2] - empty_pair,
		  (after.model_ticks - before->model_ticks) / operations,
		  (after.trace_ticks - before->trace_ticks) / operations, ROUNDS);
	sleep_ms(DRAIN_MS);
}

#define TIME(name, prepare, statement, clean_up)                         \
	do {                                                             \
		struct tarry_stats before = counters();                  \
		for (int round = 0; round < TOTAL; round++) {            \
			uint64_t start, end;                             \
			prepare;                                         \
			start = now();                                   \
			statement;                                       \
			end = now();                                     \
			shared->sample[round] = (uint32_t)(end - start); \
			clean_up;                                        \
		}                                                        \
		report(name, &before, TOTAL);                            \
	} while (0)

static void *fresh_pages(size_t n)
{
	long address = mmap(NULL, n * PAGE_SIZE, MMAP_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (address < 0) {
		dprintf(2, "bench: no memory: %s\n", error_text(address));
		exit(1);
	}
	return (void *)address;
}

static int child(void)
{
	long pid = fork();

	if (pid < 0) {
		dprintf(2, "bench: cannot fork: %s\n", error_text(pid));
		exit(1);
	}
	return (int)pid;
}

static void measure_empty_pair(void)
{
	TIME("empty", , , );
	empty_pair = shared->sample[WARM_UP];
}

static void simple_calls(void)
{
	TIME("null", , bare_call(UNKNOWN_CALL), );
	TIME("getpid", , bare_call(SYS_getpid), );
	TIME("yield", , bare_call(SYS_sched_yield), );
}

static void do_nothing(int signal) { (void)signal; }

static void signals(void)
{
	int pid = (int)getpid();

	set_handler(SIGUSR1, do_nothing, 0, 0);
	TIME("signal", , kill(pid, SIGUSR1), );
}

/* A debugger's look at the vector registers of a stopped process. */
static void regset_read(void)
{
	static uint8_t image[16384];
	struct iovec room = { image, sizeof(image) };
	int pid = child();

	if (!pid) {
		syscall4(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
		kill((int)getpid(), SIGSTOP);
		exit(1);
	}
	wait4(pid, NULL, 0);
	TIME("regset", room.len = sizeof(image), syscall4(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &room), );
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0);
}

static _Noreturn void yield_for_ever(void)
{
	for (;;) {
		shared->last = 1;
		shared->stamp = now();
		bare_call(SYS_sched_yield);
	}
}

/* One way: from the other process's stamp right before its call to our return from ours. */
static void yield_switch(void)
{
	int pid = child();
	struct tarry_stats before = counters();
	uint64_t switches = 0;

	if (!pid)
		yield_for_ever();
	for (int round = 0; round < TOTAL;) {
		uint64_t end;

		shared->last = 0;
		bare_call(SYS_sched_yield);
		end = now();
		if (shared->last) /* else nobody ran in between */
			shared->sample[round++] = (uint32_t)(end - shared->stamp);
		switches += 2;
	}
	report("switch", &before, switches);
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0);
}

static void ipc_round_trip(void)
{
	int pid = child();

	if (!pid)
		for (long caller = 0;;)
			caller = bare_ipc(TARRY_SYS_IPC_REPLY_WAIT, caller);
	TIME("ipc", , bare_ipc(TARRY_SYS_IPC_CALL, pid), );
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0);
}

static void pipe_round_trip(void)
{
	int there[2], back[2], pid;
	char byte = 'x';

	pipe(there);
	pipe(back);
	pid = child();
	if (!pid) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			write(back[1], &byte, 1);
		exit(0);
	}
	close(there[0]);
	TIME("pipe", , write(there[1], &byte, 1); read(back[0], &byte, 1), );
	close(there[1]);
	close(back[0]);
	close(back[1]);
	wait4(pid, NULL, 0);
}

static void hand_over(volatile uint32_t *word)
{
	*word = 1;
	futex((void *)word, FUTEX_WAKE | FUTEX_PRIVATE, 1, NULL);
}

static void take_over(volatile uint32_t *word)
{
	while (!*word)
		futex((void *)word, FUTEX_WAIT | FUTEX_PRIVATE, 0, NULL);
	*word = 0;
}

static int partner(void *rounds)
{
	for (long i = (long)rounds; i; i--) {
		take_over(&shared->word[0]);
		hand_over(&shared->word[1]);
	}
	return 0;
}

static void futex_round_trip(void)
{
	char *stack = fresh_pages(4);

	clone_thread(THREAD_FLAGS, stack + 4 * PAGE_SIZE, NULL, NULL, NULL, partner, (void *)TOTAL);
	TIME("futex", , hand_over(&shared->word[0]); take_over(&shared->word[1]), );
}

static void fork_exit_wait(void)
{
	int pid;

	TIME("fork", , pid = (int)fork(); if (!pid) exit(0); wait4(pid, NULL, 0), );
}

static void fork_exec_exit_wait(void)
{
	char *argv[] = { "/bin/true", NULL };
	int pid;

	TIME("exec", , pid = (int)fork(); if (!pid) exit((int)execve(argv[0], argv, argv + 1));
	     wait4(pid, NULL, 0), );
}

static void faults(void)
{
	char *pages = fresh_pages(TOTAL);
	volatile char *page = pages;

	TIME("write-fault", , *page = 1, page += PAGE_SIZE);
	TIME("mprotect", , mprotect(pages, PAGE_SIZE, PROT_READ);
	     mprotect(pages, PAGE_SIZE, MMAP_RW), );
	munmap(pages, TOTAL * PAGE_SIZE);

	page = pages = fresh_pages(TOTAL);
	TIME("read-fault", , (void)*page, page += PAGE_SIZE);
	page = pages;
	TIME("cow-fault", , *page = 1, page += PAGE_SIZE);
	munmap(pages, TOTAL * PAGE_SIZE);
}

/* A kernel FPU section with nothing in it: the first since user code ran, the next, and the save in the first. */
static void kernel_sections(void)
{
	static const char *const names[] = { "section-first", "section-again", "section-save" };

	for (long which = 0; which < 3; which++) {
		uint64_t model = 0, trace = 0;
		uint32_t *samples = (uint32_t *)shared->sample + WARM_UP;

		for (int round = 0; round < TOTAL; round++) {
			uint64_t ticks = (uint64_t)debug(TARRY_DEBUG_SECTION, which);

			shared->sample[round] = (uint32_t)TARRY_SECTION_GROSS(ticks);
			model += TARRY_SECTION_MODEL(ticks);
			trace += TARRY_SECTION_TRACE(ticks);
		}
		sort(samples, ROUNDS);
		print_row(names[which], samples[0], samples[ROUNDS / 2], model / TOTAL,
			  trace / TOTAL, ROUNDS);
		sleep_ms(DRAIN_MS);
	}
}

/* The null call once more, in a program without vector registers: it times itself. */
static void integer_only(void)
{
	char *argv[] = { "/bin/intbench", NULL };
	uint32_t result[2] = { 0 };
	int fds[2], pid;

	pipe(fds);
	pid = child();
	if (!pid) {
		dup2(fds[1], 1);
		exit((int)execve(argv[0], argv, argv + 1));
	}
	read(fds[0], result, sizeof(result));
	wait4(pid, NULL, 0);
	print_row("null-integer", result[0], result[1], 0, 0, ROUNDS);
}

int main(void)
{
	struct tarry_stats boot = counters();
	long address = mmap(NULL, sizeof(*shared), MMAP_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address < 0) {
		dprintf(2, "bench: cannot start\n");
		return 1;
	}
	shared = (volatile struct shared *)address;
	memset((void *)shared, 0, sizeof(*shared));
	measure_empty_pair();
	simple_calls();
	signals();
	regset_read();
	yield_switch();
	ipc_round_trip();
	pipe_round_trip();
	fork_exit_wait();
	faults();
	futex_round_trip();
	fork_exec_exit_wait();
	kernel_sections();
	integer_only();
	print_row("boot", boot.boot_insns, boot.boot_insns, 0, 0, 1);
	return 0;
}
