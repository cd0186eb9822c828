/*
 * ptrace - stops, steps and tracers that end, as on Linux, with several CPUs and where single steps are a processor's
 * own. Catches: a tracee that is read or let go while it is not stopped; a wake-up or SIGKILL that is lost, or that runs
 * a frozen one; a step that shows its TF, steps twice or not at all around SYSCALL; a frame that SYSRET returns to; a
 * breakpoint that others see; what nobody gives back.
 */
#include "ptrace.h"
#include "threads.h"

enum { SYS_rt_sigprocmask = 14, SYS_vfork_number = 58, PTRACE_O_EXITKILL = 1 << 20 };

/* What tracer, tracee and others tell each other. */
static volatile int *shared;

static void sleeper(void)
{
	for (;;)
		syscall0(SYS_pause);
}

static void spinner(void)
{
	while (!shared[0])
		shared[1]++;
}

static long start_untraced(void (*f)(void))
{
	long pid = fork();

	if (pid == 0) {
		f();
		exit(0);
	}
	return pid;
}

/* --- Steps --- */

void stepped(void);
extern char step_begin[], step_end[];
__asm__(".text\nstepped: push %rbx\npush %r12\nstep_begin: mov $1, %ebx\nadd $2, %ebx\nmov $39, %eax\nsyscall\nmov %rax, %r12\n"
	"mov $110, %eax\nsyscall\nmov $3, %ecx\n1: dec %ecx\njnz 1b\npushf\npop %rax\nmov %rbx, %rdi\nstep_end: pop %r12\n"
	"pop %rbx\nmov $60, %eax\nsyscall\n");
/* Where each step must end. */
static const uint8_t offsets[] = { 5, 8, 13, 15, 18, 23, 25, 30, 32, 30, 32, 30, 32, 34, 35, 36, 39 };

static void break_at(char *address, long *old)
{
	EXPECT_EQ(ptrace(PTRACE_PEEKDATA, address, (uint64_t)old), 0);
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, address, (*old & ~0xfful) | 0xcc), 0);
}

static void unbreak(char *address, long old)
{
	struct user_regs regs = get_regs();

	EXPECT_EQ(regs.rip, address + 1);
	regs.rip = (uint64_t)address;
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, address, (uint64_t)old), 0);
	EXPECT_EQ(ptrace(PTRACE_SETREGS, NULL, (uint64_t)&regs), 0);
}

static void steps(void)
{
	struct user_regs regs;
	long old;

	start_tracee(stepped);
	break_at(step_begin, &old);
	EXPECT_EQ(*(unsigned char *)step_begin, old & 0xff);	/* ours has no breakpoint */
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGTRAP));
	unbreak(step_begin, old);
	for (size_t i = 0; i < sizeof(offsets); i++) {
		EXPECT_EQ(go(PTRACE_SINGLESTEP, 0), STOPPED(SIGTRAP));
		regs = get_regs();
		EXPECT_EQ(regs.rip - (uint64_t)step_begin, offsets[i]);
		EXPECT_EQ(regs.rflags & 0x300, 0x200);
		EXPECT_EQ(ptrace(PTRACE_SETREGS, NULL, (uint64_t)&regs), 0);
	}
	EXPECT_EQ(regs.rbx, 3);
	EXPECT_EQ(regs.r12, tracee);
	EXPECT_EQ(go(PTRACE_CONT, 0), 3 << 8);	/* nothing steps any more */
}

/* Each step of a program that does much: it makes no difference to it. */
static void much_to_do(void)
{
	int fds[2], sum = 0;
	char buf[64];

	pipe(fds);
	for (int i = 0; i < 6; i++) {
		write(fds[1], buf, (size_t)i + 1);
		sum += (int)read(fds[0], buf, sizeof(buf));
	}
	EXPECT_EQ(wait_status((int)start_untraced(spinner)), 0);
	exit(sum);
}

static void step_through(void)
{
	int status, count = 0;

	shared[0] = 1;
	start_tracee(much_to_do);
	do {
		status = go(PTRACE_SINGLESTEP, 0);
		if (status == STOPPED(SIGCHLD)) /* let through later, it would only be ignored */
			status = STOPPED(SIGTRAP);
		count++;
	} while (status == STOPPED(SIGTRAP));
	EXPECT_EQ(status, 21 << 8);
	EXPECT(count > 60);
}

/* --- Frames --- */

/*
 * At the end of a system call RCX and R11 are RIP and RFLAGS if SYSRET is used: it must not, once the tracer has
 * written. All general registers are the tracer's then.
 */
void call_and_show(void);
extern volatile uint64_t registers_seen[15];
volatile uint64_t registers_seen[15];
__asm__(".text\ncall_and_show: push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\nmov $110, %eax\nsyscall\n"
	"mov %rax, registers_seen\nmov %rbx, registers_seen+8\nmov %rcx, registers_seen+16\nmov %rdx, registers_seen+24\n"
	"mov %rsi, registers_seen+32\nmov %rdi, registers_seen+40\nmov %rbp, registers_seen+48\nmov %r8, registers_seen+56\n"
	"mov %r9, registers_seen+64\nmov %r10, registers_seen+72\nmov %r11, registers_seen+80\nmov %r12, registers_seen+88\n"
	"mov %r13, registers_seen+96\nmov %r14, registers_seen+104\nmov %r15, registers_seen+112\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n");

static void show_registers(void)
{
	call_and_show();
	for (int i = 0; i < 15; i++)
		EXPECT_EQ(registers_seen[i], 0xaa00 + (uint64_t)i);
}

static void frames(void)
{
	struct user_regs regs;
	uint64_t value = 0xaa00;

	start_tracee(show_registers);
	until_call(SYS_getppid);
	regs = get_regs();
	EXPECT_EQ(regs.rcx, regs.rip);
	EXPECT_EQ(regs.r11, regs.rflags);
	regs.rax = value++, regs.rbx = value++, regs.rcx = value++, regs.rdx = value++, regs.rsi = value++;
	regs.rdi = value++, regs.rbp = value++, regs.r8 = value++, regs.r9 = value++, regs.r10 = value++;
	regs.r11 = value++, regs.r12 = value++, regs.r13 = value++, regs.r14 = value++, regs.r15 = value++;
	EXPECT_EQ(ptrace(PTRACE_SETREGS, NULL, (uint64_t)&regs), 0);
	expect_end();
}

/* What no return can load is the program's fault, at once, and never the kernel's. */
static void bad_frames(void)
{
	static const struct { size_t offset; uint64_t value; } cases[] = {
		{ offsetof(struct user_regs, cs), 0x1003 }, { offsetof(struct user_regs, cs), 0x23 },
		{ offsetof(struct user_regs, cs), 0x0b }, { offsetof(struct user_regs, cs), 0x2b },
		{ offsetof(struct user_regs, cs), 0x43 }, { offsetof(struct user_regs, ss), 0x33 },
		{ offsetof(struct user_regs, ss), 0x13 }, { offsetof(struct user_regs, ss), 0xffff },
		{ offsetof(struct user_regs, rip), 1ul << 47 }, { offsetof(struct user_regs, rip), ~0ul << 47 },
		{ offsetof(struct user_regs, rip), 0xffffffff80100000 }, { offsetof(struct user_regs, ds), 0xfff7 },
		{ offsetof(struct user_regs, gs), 0x37 }, { offsetof(struct user_regs, fs), 0x43 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct user_regs regs, before;
		int harmless = i >= 11;

		start_tracee(sleeper);
		before = regs = get_regs();
		memcpy((char *)&regs + cases[i].offset, &cases[i].value, 8);
		EXPECT_EQ(ptrace(PTRACE_SETREGS, NULL, (uint64_t)&regs), 0);
		if (!harmless && !(cases[i].value == 0x23 && !on_tarry())) {
			EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGSEGV));
			EXPECT_EQ(ptrace(PTRACE_SETREGS, NULL, (uint64_t)&before), 0);
			before = get_regs();
			EXPECT_EQ(before.cs, 0x33);
		}
		EXPECT_EQ(ptrace(PTRACE_CONT, NULL, 0), 0);
		kill_tracee();
	}
}

/* --- Memory that the tracee itself may not touch --- */

static char *code, *shown;

static void run_code(void)
{
	EXPECT_EQ(((int (*)(void))code)(), 7);
}

/* A breakpoint in a page that can only be executed, behind a closed key; the page is shared with us after fork. */
static void execute_only(void)
{
	static const unsigned char text[] = { 0xb8, 7, 0, 0, 0, 0xc3 };	/* mov $7, %eax; ret */
	long old = 0;

	code = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, text, sizeof(text));
	EXPECT_EQ(mprotect(code, PAGE_SIZE, PROT_EXEC), 0);
	start_tracee(run_code);
	break_at(code, &old);
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGTRAP));
	unbreak(code, old);
	expect_end();
	EXPECT_EQ(((int (*)(void))code)(), 7);
	munmap(code, PAGE_SIZE);
}

static void show_page(void)
{
	EXPECT_EQ(*(volatile long *)shown, 99);
	EXPECT_EQ(shared[2], 5);
	EXPECT_EQ(mprotect(shown, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	*(volatile long *)shown = 100;
}

/* A page of zeros that nobody has written; one that is shared for good; rights that a write does not give. */
static void pages(void)
{
	shown = (char *)mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(*(volatile long *)shown, 0);
	start_tracee(show_page);
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, shown, 99), 0);
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, &shared[2], 5), 0);
	EXPECT_EQ(shared[2], 5);
	EXPECT_EQ(*(volatile long *)shown, 0);
	expect_end();
	EXPECT_EQ(*(volatile long *)shown, 0);
	munmap(shown, PAGE_SIZE);
}

static void write_to_it(void)
{
	*(volatile char *)shown = 1;
}

static void poke_gives_no_right(void)
{
	shown = (char *)mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	start_tracee(write_to_it);
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, shown, 99), 0);
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGSEGV));
	kill_tracee();
	munmap(shown, PAGE_SIZE);
}

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
	{ "single steps", steps },
	{ "a program in single steps", step_through },
	{ "the frame that the tracer has written is loaded whole", frames },
	{ "a frame that can't be loaded is the program's fault", bad_frames },
	{ "a breakpoint where one can only execute", execute_only },
	{ "written pages are private", pages },
	{ "a write gives the tracee no right", poke_gives_no_right },
	{ "tracers that end", tracers_end },
	{ "SIGKILL at any moment", kills },
	{ "two tracers, and stops from outside", three_of_them },
	{ "no thread runs in a stop", thread_group },
	{ "exec in another thread", thread_execs },
};

int main(void)
{
	int bad;

	shared = (volatile int *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bad = ktap_run(tests, (int)ARRAY_SIZE(tests));
	munmap((void *)shared, PAGE_SIZE);
	return bad;
}
