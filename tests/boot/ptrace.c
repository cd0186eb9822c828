/*
 * ptrace - what a tracer makes of one tracee, as on Linux, where single steps are a processor's own. Catches: a step
 * that shows its TF, steps twice or not at all around SYSCALL; a frame that SYSRET returns to; a breakpoint that
 * others see; a write that gives the tracee a right.
 */
#include "ptrace.h"
#include "shared.h"
#include "signals.h"

/* --- Steps --- */

void stepped(void);
extern char step_begin[], step_end[];
__asm__(".text\nstepped: push %rbx\npush %r12\nstep_begin: mov $1, %ebx\nadd $2, %ebx\nmov $39, %eax\n"
	"syscall\nmov %rax, %r12\nmov $110, %eax\nsyscall\nmov $3, %ecx\n1: dec %ecx\njnz 1b\npushf\npop %rax\nmov %rbx, %rdi\n"
	"step_end: pop %r12\npop %rbx\nmov $60, %eax\nsyscall\n");
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

static void count_one(int signal)
{
	(void)signal;
	shared[2]++;
}

static void raise_one(void)
{
	set_handler(SIGUSR1, (void *)count_one, 0, 0);
	kill((int)getpid(), SIGUSR1);
	exit(shared[2]);
}

/* Into a handler, whose first instruction has not run; its frame has no TF, so that its end does not step. */
static void step_into_handler(void)
{
	struct user_regs regs;

	shared[2] = 0;
	start_tracee(raise_one);
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGUSR1));
	EXPECT_EQ(go(PTRACE_SINGLESTEP, 0), STOPPED(SIGTRAP));	/* TF is set, the signal forgotten */
	EXPECT_EQ(ptrace(PTRACE_CONT, NULL, 0), 0);
	EXPECT_EQ(next_stop(), 0);
	start_tracee(raise_one);
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGUSR1));
	EXPECT_EQ(go(PTRACE_SINGLESTEP, SIGUSR1), STOPPED(SIGTRAP));
	regs = get_regs();
	EXPECT_EQ(regs.rip, (uint64_t)count_one);
	EXPECT_EQ(regs.rdi, SIGUSR1);
	EXPECT_EQ(shared[2], 0);
	EXPECT_EQ(go(PTRACE_SINGLESTEP, 0), STOPPED(SIGTRAP));
	EXPECT_EQ(go(PTRACE_CONT, 0), 1 << 8);
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
#define SHOW(register, at)	"mov %" #register ", registers_seen+" #at "\n"
__asm__(".text\ncall_and_show: push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov $110, %eax\nsyscall\n"
	SHOW(rax, 0) SHOW(rbx, 8) SHOW(rcx, 16) SHOW(rdx, 24) SHOW(rsi, 32) SHOW(rdi, 40) SHOW(rbp, 48) SHOW(r8, 56)
	SHOW(r9, 64) SHOW(r10, 72) SHOW(r11, 80) SHOW(r12, 88) SHOW(r13, 96) SHOW(r14, 104) SHOW(r15, 112)
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
		{ offsetof(struct user_regs, cs), 0x1003 }, { offsetof(struct user_regs, cs), 0x4b },
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
		if (!harmless) {
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

/* A page that nobody has touched, one that both have, and one that only the tracee has since the first write. */
static void poke_gives_no_right(void)
{
	for (int i = 0; i < 3; i++) {
		shown = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (i)
			*(volatile char *)shown = 7;
		mprotect(shown, PAGE_SIZE, PROT_READ);
		start_tracee(write_to_it);
		for (int n = 0; n < i; n++)
			EXPECT_EQ(ptrace(PTRACE_POKEDATA, shown, 99), 0);
		EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGSEGV));
		kill_tracee();
		munmap(shown, PAGE_SIZE);
	}
}

static const struct ktap_test tests[] = {
	{ "single steps", steps },
	{ "a step into a handler", step_into_handler },
	{ "a program in single steps", step_through },
	{ "the frame that the tracer has written is loaded whole", frames },
	{ "a frame that can't be loaded is the program's fault", bad_frames },
	{ "a breakpoint where one can only execute", execute_only },
	{ "written pages are private", pages },
	{ "a write gives the tracee no right", poke_gives_no_right },
};

int main(void)
{
	return run_with_shared(tests, (int)ARRAY_SIZE(tests));
}
