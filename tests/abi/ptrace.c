/*
 * ptrace.c - a debugger's requests, on children of its own: what they answer, which stops there are, in which order,
 * and what the child makes of it. No process id and no address is printed.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define R(name, number) enum { name = number };
R(TRACEME, 0) R(PEEKDATA, 2) R(PEEKUSER, 3) R(POKEDATA, 5) R(POKEUSER, 6) R(CONT, 7) R(KILL, 8) R(SINGLESTEP, 9)
R(GETREGS, 12) R(SETREGS, 13) R(GETFPREGS, 14) R(SETFPREGS, 15) R(ATTACH, 16) R(DETACH, 17) R(SYSCALL, 24)
R(SYSEMU, 31) R(SETOPTIONS, 0x4200) R(GETEVENTMSG, 0x4201) R(GETSIGINFO, 0x4202) R(SETSIGINFO, 0x4203)
R(GETREGSET, 0x4204) R(SETREGSET, 0x4205) R(SEIZE, 0x4206) R(INTERRUPT, 0x4207) R(LISTEN, 0x4208)
R(PEEKSIGINFO, 0x4209) R(GET_SYSCALL_INFO, 0x420e)

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags, rsp,
		ss, fs_base, gs_base, ds, es, fs, gs;
};

static pid_t child;
static volatile long *shared;

/* The raw call, so that PEEK is told apart from its errors. */
static long request(long what, pid_t pid, uintptr_t address, uintptr_t data)
{
	long result = syscall(SYS_ptrace, what, pid, address, data);

	return result < 0 ? -errno : result;
}

static const char *result_text(long result)
{
	static char text[24];

	snprintf(text, sizeof(text), "%ld", result);
	return result < 0 ? strerror((int)-result) : text;
}

static void ask(const char *what, long number, uintptr_t address, uintptr_t data)
{
	printf("%s: %s\n", what, result_text(request(number, child, address, data)));
}

static void show(const char *what, int status)
{
	printf("%s: ", what);
	if (WIFEXITED(status))
		printf("exit %d\n", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("killed by %d\n", WTERMSIG(status));
	else
		printf("stop %#x\n", (unsigned int)status >> 8);
}

static int wait_show(const char *what)
{
	int status = 0;
	pid_t found = waitpid(child, &status, __WALL);

	if (found == child)
		show(what, status);
	else
		printf("%s: %d, %s\n", what, found, strerror(errno));
	return status;
}

/* Lets the child go on, with a signal, and says where it stops next. */
static int go(const char *what, long how, int signal)
{
	long result = request(how, child, 0, (uintptr_t)signal);

	if (result)
		printf("%s: %s\n", what, result_text(result));
	return result ? -1 : wait_show(what);
}

static struct regs get_regs(void)
{
	struct regs regs = { 0 };

	if (request(GETREGS, child, 0, (uintptr_t)&regs))
		printf("GETREGS failed\n");
	return regs;
}

static long set_regs(const struct regs *regs)
{
	return request(SETREGS, child, 0, (uintptr_t)regs);
}

/* A child that traces itself, stops once, and then runs f. */
static void start(void (*f)(void))
{
	fflush(NULL);
	child = fork();
	if (!child) {
		syscall(SYS_ptrace, TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		f();
		_exit(0);
	}
	wait_show("start");
}

static void sleeper(void)
{
	for (;;)
		pause();
}

static void start_untraced(void (*f)(void))
{
	fflush(NULL);
	child = fork();
	if (!child) {
		f();
		_exit(0);
	}
}

static void end(void)
{
	kill(child, SIGKILL);
	wait_show("end");
}

static void nothing(void)
{
}

/* --- Who may ask --- */

static void who(void)
{
	static const int numbers[] = {
		PEEKDATA, PEEKUSER, POKEDATA, POKEUSER, CONT, KILL, SINGLESTEP, GETREGS, SETREGS, GETFPREGS, SETFPREGS,
		DETACH, SYSCALL, SETOPTIONS, GETEVENTMSG, GETSIGINFO, GETREGSET, INTERRUPT, 0x4999,
	};

	child = getpid();
	ask("attach to oneself", ATTACH, 0, 0);
	child = 0x3ffff0;
	ask("attach to nobody", ATTACH, 0, 0);
	ask("seize nobody", SEIZE, 0, 0);
	ask("seize, bad option", SEIZE, 0, 1u << 15);
	ask("seize, with address", SEIZE, 1, 0);
	start_untraced(sleeper);
	ask("seize, bad option", SEIZE, 0, 1u << 15);
	ask("seize, with address", SEIZE, 1, 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		ask("not traced", numbers[i], 0, 0);
	ask("attach", ATTACH, 0, 0);
	ask("twice", ATTACH, 0, 0);
	wait_show("attached");
	ask("seize an attached one", SEIZE, 0, 0);
	ask("interrupt one that was not seized", INTERRUPT, 0, 0);
	ask("unknown", 0x4999, 0, 0);
	ask("detach, bad signal", DETACH, 0, 65);
	ask("continue, bad signal", CONT, 0, 1000);
	ask("continue", CONT, 0, 0);
	ask("it runs", GETREGS, 0, 0);
	end();
	ask("it is gone", GETREGS, 0, 0);
}

static void trace_me_twice(void)
{
	long result = syscall(SYS_ptrace, TRACEME, 0, 0, 0);

	_exit(result < 0 ? errno : 100);
}

/* --- Memory --- */

static volatile long word = 0x1234, *gap, *none, *read_only, *common;
static const volatile long constant[2] = { 42, 43 };
extern char target[];
__asm__(".text\n.globl target\ntarget: mov $7, %eax\nret\n");

static void use_memory(void)
{
	int (*function)(void) = (int (*)(void))target;

	printf("child: %#lx %ld %d\n", word, constant[1], function());
	exit(0);
}

static void peek(const char *what, const volatile void *at)
{
	long value = 0;
	long result = request(PEEKDATA, child, (uintptr_t)at, (uintptr_t)&value);

	printf("%s: %#lx, %s\n", what, value, result_text(result));
}

static void poke(const char *what, const volatile void *at, long value)
{
	printf("poke %s: %s\n", what, result_text(request(POKEDATA, child, (uintptr_t)at, (uintptr_t)value)));
}

static void memory(void)
{
	long code;

	start(use_memory);
	peek("a variable", &word);
	poke("a variable", &word, 0x9999);
	peek("a variable", &word);
	peek("a constant", &constant[1]);
	poke("a constant", &constant[1], 4711);
	peek("it", &constant[1]);
	peek("its neighbour", &constant[0]);
	request(PEEKDATA, child, (uintptr_t)target, (uintptr_t)&code);
	poke("code", target, (code & ~0xff00l) | 0x6300);
	peek("nothing there", gap);
	poke("nothing there", gap, 1);
	peek("across its edge", (char *)gap - 4);
	poke("across its edge", (char *)gap - 4, 1);
	peek("no rights", none);
	poke("no rights", none, 5);
	peek("no rights", none);
	peek("read only", read_only);
	poke("read only", read_only, 6);
	peek("read only", read_only);
	peek("shared", common);
	poke("shared, read only", common, 7);
	peek("the last byte", (void *)0x7fffffffefff);
	peek("the kernel", (void *)0xffff888000000000);
	poke("the kernel", (void *)0xffff888000000000, 1);
	peek("not canonical", (void *)0x800000000000000);
	peek("address 0", NULL);
	printf("no place for it: %s\n", result_text(request(PEEKDATA, child, (uintptr_t)&word, 8)));
	go("uses it", CONT, 0);
	printf("here: %#lx %ld\n", word, constant[1]);
}

static void map_memory(void)
{
	char *place = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	common = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	munmap(place + 4096, 4096);
	gap = (long *)(place + 4096);
	none = (long *)(place + 2 * 4096);
	mprotect((void *)none, 4096, PROT_NONE);
	read_only = (long *)(place + 4 * 4096);
	*read_only = 99;
	mprotect((void *)read_only, 4096, PROT_READ);
}

/* --- Registers --- */

/* All general registers get known values, then a breakpoint; behind it they are what the tracer wrote. */
static volatile uint64_t seen[16];
void known_registers(void);
__asm__(".text\nknown_registers:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"mov $1, %rax\n\tmov $2, %rbx\n\tmov $3, %rcx\n\tmov $4, %rdx\n\tmov $5, %rsi\n\tmov $6, %rdi\n\tmov $7, %rbp\n\t"
	"mov $8, %r8\n\tmov $9, %r9\n\tmov $10, %r10\n\tmov $11, %r11\n\tmov $12, %r12\n\tmov $13, %r13\n\t"
	"mov $14, %r14\n\tmov $-15, %r15\n\tcmp %rax, %rax\n\tstc\n\tint3\n\t"
	"mov %rax, seen\n\tmov %rbx, seen+8\n\tmov %rcx, seen+16\n\tmov %rdx, seen+24\n\tmov %rsi, seen+32\n\t"
	"mov %rdi, seen+40\n\tmov %rbp, seen+48\n\tmov %r8, seen+56\n\tmov %r9, seen+64\n\tmov %r10, seen+72\n\t"
	"mov %r11, seen+80\n\tmov %r12, seen+88\n\tmov %r13, seen+96\n\tmov %r14, seen+104\n\tmov %r15, seen+112\n\t"
	"pushf\n\tpop %rax\n\tmov %rax, seen+120\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");

static void show_registers(void)
{
	known_registers();
	printf("child has:");
	for (int i = 0; i < 15; i++)
		printf(" %lx", seen[i]);
	printf(", flags %lx\n", seen[15]);
	exit(0);
}

static void try_regs(const char *what, size_t offset, uint64_t value)
{
	struct regs regs = get_regs(), before = regs, after;
	long set, poked;

	memcpy((char *)&regs + offset, &value, 8);
	set = set_regs(&regs);
	poked = request(POKEUSER, child, offset, value);
	after = get_regs();
	printf("%s %lx: %s, ", what, value, result_text(set));
	printf("%s, ", result_text(poked));
	if (offset == offsetof(struct regs, fs_base))
		puts(before.fs_base == after.fs_base ? "unchanged" : "changed");
	else
		printf("%lx\n", *(uint64_t *)((char *)&after + offset));
}

static void hostile_registers(void)
{
	struct regs regs = get_regs();

	try_regs("cs", offsetof(struct regs, cs), 0);
	try_regs("cs", offsetof(struct regs, cs), 0x10);
	try_regs("cs", offsetof(struct regs, cs), 0x30);
	try_regs("ss", offsetof(struct regs, ss), 0);
	try_regs("ss", offsetof(struct regs, ss), 0x18);
	try_regs("ds", offsetof(struct regs, ds), 0x10);
	try_regs("es", offsetof(struct regs, es), 0x29);
	try_regs("fs", offsetof(struct regs, fs), 8);
	try_regs("gs", offsetof(struct regs, gs), 0x2a);
	try_regs("ds", offsetof(struct regs, ds), 0x2b);
	try_regs("ds", offsetof(struct regs, ds), 0);
	try_regs("fs_base", offsetof(struct regs, fs_base), 0x7ffffffff000);
	try_regs("fs_base", offsetof(struct regs, fs_base), 1ul << 60);
	try_regs("gs_base", offsetof(struct regs, gs_base), ~0ul);
	try_regs("gs_base", offsetof(struct regs, gs_base), 0x1000);
	try_regs("flags", offsetof(struct regs, rflags), 0);
	try_regs("flags", offsetof(struct regs, rflags), 0xfffffffffffffeff);
	try_regs("flags", offsetof(struct regs, rflags), regs.rflags);
	try_regs("orig_rax", offsetof(struct regs, orig_rax), ~0ul);
	set_regs(&regs);
}

static void registers(void)
{
	struct regs regs, before;
	uint64_t value = 0xeeee;

	start(show_registers);
	go("breakpoint", CONT, 0);
	before = regs = get_regs();
	printf("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi,
	       regs.rdi, regs.rbp);
	printf("r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx\n", regs.r8, regs.r9, regs.r10, regs.r11,
	       regs.r12, regs.r13, regs.r14, regs.r15);
	printf("orig_rax %lx cs %lx ss %lx flags %lx ds %lx es %lx fs %lx gs %lx gs_base %lx\n", regs.orig_rax, regs.cs,
	       regs.ss, regs.rflags, regs.ds, regs.es, regs.fs, regs.gs, regs.gs_base);
	for (size_t i = 0; i < sizeof(regs); i += 8) {
		request(PEEKUSER, child, i, (uintptr_t)&value);
		if (value != *(uint64_t *)((char *)&regs + i))
			printf("PEEKUSER %zu differs\n", i);
	}
	ask("PEEKUSER, unaligned", PEEKUSER, 1, (uintptr_t)&value);
	ask("PEEKUSER, beyond", PEEKUSER, 928, (uintptr_t)&value);
	ask("POKEUSER, unaligned", POKEUSER, 4, 0);
	ask("POKEUSER, beyond", POKEUSER, 928, 0);
	ask("POKEUSER, between", POKEUSER, 400, 0);
	ask("PEEKUSER, a debug register", PEEKUSER, 848, (uintptr_t)&value);
	printf("%lx\n", value);
	ask("PEEKUSER, nowhere to put it", PEEKUSER, 0, 8);
	ask("GETREGS, nowhere to put them", GETREGS, 0, 8);
	ask("SETREGS, from nowhere", SETREGS, 0, 8);
	hostile_registers();
	regs = get_regs();
	regs.rax = before.rax;
	printf("unchanged: %d\n", !memcmp(&regs, &before, sizeof(regs)));
	regs.rax = 0xa1, regs.rbx = 0xa2, regs.rcx = 0xa3, regs.rdx = 0xa4, regs.rsi = 0xa5, regs.rdi = 0xa6;
	regs.rbp = 0xa7, regs.r8 = 0xa8, regs.r9 = 0xa9, regs.r10 = 0xaa, regs.r11 = 0xab, regs.r12 = 0xac;
	regs.r13 = 0xad, regs.r14 = 0xae, regs.rflags = 0x8d7;
	printf("set: %s\n", result_text(set_regs(&regs)));
	ask("one by POKEUSER", POKEUSER, offsetof(struct regs, r15), 0xaf);
	go("goes on", CONT, 0);
}

/* A RIP where no return can go ends as a fault of the program. */
static void bad_return(const char *what, size_t offset, uint64_t value)
{
	siginfo_t info;

	start(nothing);
	ask(what, POKEUSER, offset, value);
	if (WIFSTOPPED(go("fault", CONT, 0))) {
		request(GETSIGINFO, child, 0, (uintptr_t)&info);
		printf("signal %d code %d\n", info.si_signo, info.si_code);
		end();
	}
}

/* --- Signals --- */

static volatile sig_atomic_t calls, last_code;

static void count(int signal, siginfo_t *info, void *context)
{
	(void)context;
	calls = calls * 100 + signal;
	last_code = info->si_code;
}

static void handle(int signal)
{
	struct sigaction action = { .sa_sigaction = count, .sa_flags = SA_SIGINFO };

	sigaction(signal, &action, NULL);
}

static void get_signals(void)
{
	sigset_t set;

	handle(SIGUSR1);
	handle(SIGUSR2);
	handle(SIGWINCH);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	raise(SIGUSR1); /* let through */
	printf("let through: %d\n", calls);
	raise(SIGUSR1); /* suppressed */
	printf("suppressed: %d\n", calls);
	raise(SIGUSR1); /* replaced by SIGWINCH */
	printf("replaced: %d, code %d\n", calls, last_code);
	sigprocmask(SIG_BLOCK, &set, NULL);
	calls = 0;
	raise(SIGUSR1); /* replaced by SIGUSR2, which is blocked */
	printf("blocked: %d\n", calls);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* comes again */
	printf("unblocked: %d\n", calls);
	raise(SIGCHLD); /* ignored, but the tracer sees it */
	raise(SIGUSR1); /* siginfo changed */
	printf("changed: code %d\n", last_code);
	fflush(NULL);
	*(volatile int *)8 = 1;
}

static void signal_stops(void)
{
	siginfo_t info;

	start(get_signals);
	ask("GETSIGINFO", GETSIGINFO, 0, (uintptr_t)&info);
	printf("signal %d code %d\n", info.si_signo, info.si_code);
	go("SIGUSR1", CONT, 0);
	go("let through", CONT, SIGUSR1);
	go("suppressed", CONT, 0);
	go("replaced", CONT, SIGWINCH);
	go("replaced by a blocked one", CONT, SIGUSR2);
	go("SIGUSR2", CONT, SIGUSR2);
	request(GETSIGINFO, child, 0, (uintptr_t)&info);
	go("SIGCHLD", CONT, 0);
	request(GETSIGINFO, child, 0, (uintptr_t)&info);
	info.si_code = -77;
	ask("SETSIGINFO", SETSIGINFO, 0, (uintptr_t)&info);
	ask("SETSIGINFO from nowhere", SETSIGINFO, 0, 8);
	go("fault", CONT, SIGUSR1);
	request(GETSIGINFO, child, 0, (uintptr_t)&info);
	printf("signal %d code %d at %p\n", info.si_signo, info.si_code, info.si_addr);
	go("again", CONT, 0);
	go("dies", CONT, SIGSEGV);
}

/* A group's stop, as its tracer sees it. */
static void group_stops(void)
{
	siginfo_t info;

	start(sleeper);
	ask("go on", CONT, 0, 0);
	kill(child, SIGTSTP);
	wait_show("signal");
	go("stopped", CONT, SIGTSTP);
	ask("GETSIGINFO in a stop", GETSIGINFO, 0, (uintptr_t)&info);
	kill(child, SIGCONT);
	go("SIGCONT", CONT, 0);
	ask("go on", CONT, 0, 0);
	kill(child, SIGSTOP);
	wait_show("signal");
	go("stopped", CONT, SIGSTOP);
	end();
}

static void attached_while_stopped(void)
{
	int status;

	start_untraced(sleeper);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	show("stopped", status);
	ask("attach", ATTACH, 0, 0);
	wait_show("attached");
	go("the SIGSTOP of attach", CONT, 0);
	ask("detach, stop", DETACH, 0, SIGSTOP);
	printf("it has been told before: %d\n", waitpid(child, &status, WUNTRACED | WNOHANG));
	kill(child, SIGCONT);
	waitpid(child, &status, WCONTINUED);
	printf("continued %d\n", WIFCONTINUED(status));
	kill(child, SIGKILL);
	wait_show("end");
}

/* --- System calls --- */

static void make_calls(void)
{
	long result[6];

	result[0] = syscall(SYS_getppid) == getppid();
	result[1] = syscall(SYS_gettid, 1, 2, 3, 4, 5, 6);
	result[2] = syscall(SYS_gettid, 1, 2, 3, 4, 5, 6);
	result[3] = syscall(SYS_dup, 77);
	result[4] = syscall(SYS_gettid);
	result[5] = syscall(SYS_gettid);
	for (int i = 0; i < 6; i++)
		printf("call %d: %ld\n", i, result[i]);
	exit(0);
}

static void show_call(const char *what)
{
	struct regs regs = get_regs();
	unsigned long message = 99;
	siginfo_t info;

	request(GETEVENTMSG, child, 0, (uintptr_t)&message);
	request(GETSIGINFO, child, 0, (uintptr_t)&info);
	printf("%s: number %ld, %ld %ld %ld %ld %ld %ld, message %lu, signal %d code %#x\n", what, (long)regs.orig_rax, regs.rdi,
	       regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9, message, info.si_signo, info.si_code);
}

/* Runs on until the child is about to make that call. */
static void until_call(long number, long how)
{
	struct regs regs;
	int status;

	do {
		request(how, child, 0, 0);
		waitpid(child, &status, __WALL);
		regs = get_regs();
	} while (WIFSTOPPED(status) && ((long)regs.orig_rax != number || (long)regs.rax != -ENOSYS));
	show("at the call", status);
}

static void system_calls(void)
{
	struct regs regs;

	start(make_calls);
	ask("bad option", SETOPTIONS, 0, 1u << 9);
	ask("SETOPTIONS", SETOPTIONS, 0, 1);
	until_call(SYS_gettid, SYSCALL);
	show_call("entry");
	go("exit", SYSCALL, 0);
	printf("it is the child's: %d\n", get_regs().rax == (uint64_t)child);
	regs = get_regs();
	regs.rax = 4711;
	set_regs(&regs); /* another result */
	until_call(SYS_gettid, SYSCALL);
	show_call("entry");
	regs = get_regs();
	regs.orig_rax = SYS_lseek; /* another call */
	regs.rdi = 1000;
	set_regs(&regs);
	go("exit", SYSCALL, 0);
	printf("result %ld, number %ld\n", (long)get_regs().rax, (long)get_regs().orig_rax);
	until_call(SYS_dup, SYSCALL);
	regs = get_regs();
	regs.orig_rax = ~0ul; /* none */
	regs.rax = 12345;
	set_regs(&regs);
	go("exit", SYSCALL, 0);
	until_call(SYS_gettid, SYSEMU);
	regs = get_regs();
	regs.rax = 555;
	set_regs(&regs);
	until_call(SYS_gettid, SYSEMU);
	ask("no more good", SETOPTIONS, 0, 0);
	go("goes on", CONT, 0);
}

/* A call that a signal interrupts, and that is made again. */
static void interrupted_call(void)
{
	signal(SIGUSR1, SIG_IGN);
	syscall(SYS_pause);
	exit(3);
}

static void restarts(void)
{
	struct regs regs;

	start(interrupted_call);
	until_call(SYS_pause, SYSCALL);
	kill(child, SIGUSR1);
	go("exit", SYSCALL, 0);
	regs = get_regs();
	printf("number %ld, result %ld\n", (long)regs.orig_rax, (long)regs.rax);
	set_regs(&regs);
	go("signal", SYSCALL, 0);
	go("again", SYSCALL, 0);
	regs = get_regs();
	printf("number %ld, result %ld\n", (long)regs.orig_rax, (long)regs.rax);
	kill(child, SIGUSR1);
	go("exit", SYSCALL, 0);
	go("signal", CONT, 0);
	regs = get_regs();
	regs.orig_rax = ~0ul; /* not again */
	regs.rax = 0;
	set_regs(&regs);
	go("end", CONT, 0);
}

/* --- Single steps --- */

extern char step_begin[], step_call[], step_end[];
void stepped(void);
__asm__(".text\nstepped: push %rbx\nstep_begin: mov $1, %ebx\nadd $2, %ebx\nnop\nmov $39, %eax\nstep_call: syscall\n"
	"mov $5, %ecx\n1: dec %ecx\njnz 1b\npushf\npop %rax\nstep_end: pop %rbx\nret\n");

static void run_stepped(void)
{
	stepped();
	exit(9);
}

static void raise_stepped(void)
{
	handle(SIGUSR1);
	stepped();
	raise(SIGUSR1);
	exit(calls);
}

static void break_at(char *address, long *old)
{
	request(PEEKDATA, child, (uintptr_t)address, (uintptr_t)old);
	request(POKEDATA, child, (uintptr_t)address, (*old & ~0xfful) | 0xcc);
}

static void unbreak(char *address, long old)
{
	struct regs regs = get_regs();

	request(POKEDATA, child, (uintptr_t)address, (uintptr_t)old);
	printf("at the breakpoint: %d\n", regs.rip == (uint64_t)address + 1);
	regs.rip--;
	set_regs(&regs);
}

static void steps(void)
{
	siginfo_t info;
	struct regs regs;
	int n = 0, flags = 0;
	long old;

	start(run_stepped);
	break_at(step_begin, &old);
	go("breakpoint", CONT, 0);
	unbreak(step_begin, old);
	do {
		request(SINGLESTEP, child, 0, 0);
		if (waitpid(child, &flags, 0) != child || flags != (SIGTRAP << 8 | 0x7f))
			break;
		regs = get_regs();
		request(GETSIGINFO, child, 0, (uintptr_t)&info);
		printf("step %d: +%ld, code %d, flags %lx\n", ++n, (long)(regs.rip - (uint64_t)step_begin), info.si_code,
		       regs.rflags & 0x100);
	} while (regs.rip != (uint64_t)step_end && n < 40);
	ask("go on", CONT, 0, 0);
	wait_show("end");
}

/* Into a handler: its first instruction has not run. Out of it: nothing steps after CONT. */
static void step_into_handler(void)
{
	struct regs regs;
	long old;

	start(raise_stepped);
	break_at(step_end, &old);
	go("breakpoint", CONT, 0);
	unbreak(step_end, old);
	go("signal", CONT, 0);
	go("step into the handler", SINGLESTEP, SIGUSR1);
	regs = get_regs();
	printf("at its start: %d, first argument %lu, flags %lx\n", regs.rip == (uint64_t)count, regs.rdi, regs.rflags & 0x100);
	go("one more", SINGLESTEP, 0);
	go("end", CONT, 0);
}

/* --- Register sets --- */

static struct iovec iovec;

static long regset(long what, long type, void *base, size_t size)
{
	iovec = (struct iovec){ base, size };
	return request(what, child, (uintptr_t)type, (uintptr_t)&iovec);
}

static void try_regset(const char *what, long how, long type, size_t size)
{
	static char buffer[16384] __attribute__((aligned(64)));
	long result = regset(how, type, buffer, size);

	printf("%s: %s", what, result_text(result));
	printf(", %zu%s\n", type == NT_X86_XSTATE && iovec.iov_len > 832 ? 0 : iovec.iov_len, iovec.iov_len == size ? " all" : "");
}

static void load_vectors(void)
{
	static const uint8_t value[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	uint8_t after[16];
	uint32_t mxcsr = 0x3f80, mxcsr_after;
	uint16_t fcw = 0x27f, fcw_after;

	__asm__ volatile("movups %3, %%xmm5\n\tldmxcsr %4\n\tfldcw %5\n\tint3\n\tmovups %%xmm5, %0\n\tstmxcsr %1\n\tfnstcw %2"
			 : "=m"(after), "=m"(mxcsr_after), "=m"(fcw_after) : "m"(value), "m"(mxcsr), "m"(fcw) : "xmm5");
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0\n\tfninit" : : "m"(mxcsr));
	printf("child has: xmm5 %d %d, mxcsr %x, fcw %x\n", after[0], after[15], mxcsr_after, fcw_after);
	exit(0);
}

struct fpregs {
	uint16_t fcw, fsw;
	uint8_t ftw, zero;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mask;
	uint8_t st[128], xmm[256], rest[96];
} __attribute__((aligned(64)));

static void regsets(void)
{
	static struct fpregs fp, again;
	static uint8_t xstate[16384] __attribute__((aligned(64)));
	struct regs regs = { 0 };
	size_t size;

	start(load_vectors);
	go("breakpoint", CONT, 0);
	try_regset("general", GETREGSET, NT_PRSTATUS, sizeof(struct regs));
	try_regset("general, too long", GETREGSET, NT_PRSTATUS, 1000);
	try_regset("general, short", GETREGSET, NT_PRSTATUS, 16);
	try_regset("general, odd", GETREGSET, NT_PRSTATUS, 17);
	try_regset("none", GETREGSET, NT_PRSTATUS, 0);
	try_regset("unknown", GETREGSET, 0x7777, 8);
	try_regset("unknown, write", SETREGSET, 0x7777, 8);
	try_regset("floating point", GETREGSET, NT_PRFPREG, 512);
	try_regset("floating point, long", GETREGSET, NT_PRFPREG, 1024);
	try_regset("floating point, short write", SETREGSET, NT_PRFPREG, 256);
	try_regset("extended, short", GETREGSET, NT_X86_XSTATE, 576);
	try_regset("extended, odd", GETREGSET, NT_X86_XSTATE, 577);
	try_regset("extended, short write", SETREGSET, NT_X86_XSTATE, 576);
	ask("no iovec", GETREGSET, NT_PRSTATUS, 8);
	printf("nowhere: %s\n", result_text(regset(GETREGSET, NT_PRSTATUS, (void *)8, 64)));
	regset(GETREGSET, NT_PRSTATUS, &regs, sizeof(regs));
	size = get_regs().rsp;
	printf("same: %d\n", regs.rsp == size);
	request(GETFPREGS, child, 0, (uintptr_t)&fp);
	printf("fcw %x mxcsr %x xmm5 %d %d\n", fp.fcw, fp.mxcsr, fp.xmm[80], fp.xmm[95]);
	regset(GETREGSET, NT_PRFPREG, &again, sizeof(again));
	printf("the same as a set: %d\n", !memcmp(&fp, &again, sizeof(fp)));
	regset(GETREGSET, NT_X86_XSTATE, xstate, sizeof(xstate));
	size = iovec.iov_len;
	printf("legacy part the same: %d, components there: %d\n", !memcmp(&fp, xstate, 416), !!*(uint64_t *)(xstate + 464));
	again.mxcsr = 0xffffffff;
	printf("bad MXCSR: %s\n", result_text(request(SETFPREGS, child, 0, (uintptr_t)&again)));
	xstate[512 + 8] = 1;
	printf("bad XCOMP_BV: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size)));
	xstate[512 + 8] = 0;
	xstate[512 + 7] = 0x40;
	printf("bad XSTATE_BV: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size)));
	xstate[512 + 7] = 0;
	xstate[512 + 24] = 1;
	printf("bad reserved: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size)));
	printf("too short: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size - 8)));
	request(GETFPREGS, child, 0, (uintptr_t)&again);
	printf("unchanged: %d\n", !memcmp(&fp, &again, sizeof(fp)));
	fp.xmm[80] = 77;
	fp.mxcsr = 0x5f80;
	printf("SETFPREGS: %s\n", result_text(request(SETFPREGS, child, 0, (uintptr_t)&fp)));
	ask("SETFPREGS from nowhere", SETFPREGS, 0, 8);
	go("end", CONT, 0);
}

/* --- exec, threads, the tracer's end --- */

static char *self;

static void run_self(void)
{
	execl(self, self, "child", NULL);
	exit(1);
}

static void program_change(void)
{
	start(run_self);
	go("exec", CONT, 0);
	go("end", CONT, 0);
	start(run_self);
	ask("TRACEEXEC", SETOPTIONS, 0, 1 << 4);
	go("exec", CONT, 0);
	go("end", CONT, 0);
}

static void seized(void)
{
	start_untraced(sleeper);
	ask("seize", SEIZE, 0, 1);
	ask("interrupt", INTERRUPT, 0, 0);
	wait_show("interrupted");
	ask("go on", CONT, 0, 0);
	kill(child, SIGTSTP);
	wait_show("signal");
	go("group stop", CONT, SIGTSTP);
	ask("detach", DETACH, 0, 0);
	kill(child, SIGCONT);
	end();
}

/* A tracer that ends: its tracee goes on, or is killed if that was asked for. */
static void tracer_ends(int options)
{
	pid_t tracer, tracee;
	int status;

	fflush(NULL);
	shared[0] = 0;
	tracee = fork();
	if (!tracee) {
		while (!shared[0])
			sched_yield();
		_exit(21);
	}
	tracer = fork();
	if (!tracer) {
		child = tracee;
		request(ATTACH, child, 0, 0);
		waitpid(child, &status, __WALL);
		request(SETOPTIONS, child, 0, (uintptr_t)options);
		_exit(status >> 8);
	}
	waitpid(tracer, &status, 0);
	show("tracer", status);
	shared[0] = 1;
	waitpid(tracee, &status, 0);
	show("tracee", status);
}

/* The tracer hears of the end before the parent does. */
static void strangers(void)
{
	pid_t tracer, tracee;
	int status;

	fflush(NULL);
	shared[0] = shared[1] = 0;
	tracee = fork();
	if (!tracee) {
		while (!shared[0])
			sched_yield();
		_exit(22);
	}
	tracer = fork();
	if (!tracer) {
		child = tracee;
		request(ATTACH, child, 0, 0);
		waitpid(child, &status, __WALL);
		shared[0] = 1;
		request(CONT, child, 0, 0);
		waitid(P_PID, (id_t)child, &(siginfo_t){ 0 }, WEXITED | WNOWAIT | __WALL);
		shared[1] = 1;
		while (shared[1] == 1)
			sched_yield();
		waitpid(child, &status, 0);
		_exit(WEXITSTATUS(status) + 1);
	}
	while (!shared[1])
		sched_yield();
	printf("parent does not yet hear: %d\n", waitpid(tracee, &status, WNOHANG));
	shared[1] = 2;
	waitpid(tracee, &status, 0);
	show("parent hears", status);
	waitpid(tracer, &status, 0);
	show("tracer", status);
}

static void *other_thread(void *arg)
{
	shared[1] = gettid();
	while (!shared[2])
		sched_yield();
	syscall(SYS_exit, 6);
	return arg;
}

static void two_threads(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, other_thread, NULL);
	while (!shared[3])
		sched_yield();
	_exit(8);
}

/* Threads are traced one by one. */
static void one_thread(void)
{
	pid_t process;

	shared[0] = shared[1] = shared[2] = shared[3] = 0;
	start_untraced(two_threads);
	process = child;
	while (!shared[1])
		sched_yield();
	child = (pid_t)shared[1];
	ask("attach to a thread", ATTACH, 0, 0);
	wait_show("it stops");
	child = process;
	ask("the other is not traced", GETREGS, 0, 0);
	child = (pid_t)shared[1];
	shared[2] = 1;
	go("it ends", CONT, 0);
	child = process;
	shared[3] = 1;
	wait_show("the process ends");
}

/* --- Events --- */

static unsigned long message_now(void)
{
	unsigned long message = 0;

	request(GETEVENTMSG, child, 0, (uintptr_t)&message);
	return message;
}

static int exit_five(void *stack)
{
	(void)stack;
	syscall(SYS_exit, 5);
	return 0;
}

static void have_children(void)
{
	static char stack[8192];
	pid_t pid = fork();

	if (!pid)
		_exit(31);
	waitpid(pid, NULL, 0);
	pid = vfork();
	if (!pid)
		_exit(32);
	waitpid(pid, NULL, 0);
	pid = clone(exit_five, stack + sizeof(stack), CLONE_VM, NULL);
	waitpid(pid, NULL, __WALL);
	_exit(33);
}

/* The child of a traced process is traced, too, and stops first. */
static void one_event(const char *what, int event)
{
	pid_t parent = child, pid;
	int status;

	printf("%s: %d\n", what, go("event", CONT, 0) >> 16 == event);
	pid = (pid_t)message_now();
	child = pid;
	wait_show("the child");
	go("its end", CONT, 0);
	printf("message %ld\n", message_now());
	go("ended", CONT, 0);
	child = parent;
	if (event == 2) {
		go("vfork done", CONT, 0);
		printf("the same child: %d\n", message_now() == (unsigned long)pid);
	}
	go("SIGCHLD", CONT, 0);
	(void)status;
}

static void events(void)
{
	start(have_children);
	ask("options", SETOPTIONS, 0, 0x7f);
	one_event("fork", 1);
	one_event("vfork", 2);
	request(CONT, child, 0, SIGCHLD);
	{
		pid_t parent = child;

		wait_show("clone");
		child = (pid_t)message_now();
		wait_show("the child");
		go("its end", CONT, 0);
		go("ended", CONT, 0);
		child = parent;
	}
	go("the end", CONT, 0);
	printf("message %ld\n", message_now());
	go("ended", CONT, 0);
}

static void fail(void)
{
	*(volatile int *)8 = 1;
}

static void deadly_event(void)
{
	start(fail);
	ask("options", SETOPTIONS, 0, 0x40);
	go("fault", CONT, 0);
	go("the end", CONT, SIGSEGV);
	printf("message %ld\n", message_now());
	go("ended", CONT, 0);
	start(sleeper);
	ask("KILL", KILL, 0, 0);
	wait_show("ended");
}

/* --- What a stop is about --- */

struct syscall_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct { uint64_t number, arguments[6]; };
		struct { int64_t result; uint8_t is_error; };
	};
};

static void show_info(const char *what)
{
	struct syscall_info info;
	long size;

	memset(&info, 0xee, sizeof(info));
	size = request(GET_SYSCALL_INFO, child, sizeof(info), (uintptr_t)&info);
	printf("%s: %ld, op %d arch %x, place %d\n", what, size, info.op, info.arch, info.ip == get_regs().rip);
	if (info.op == 1)
		printf("number %lu, %lu %lu\n", info.number, info.arguments[0], info.arguments[5]);
	if (info.op == 2)
		printf("result %ld, error %d\n", info.result, info.is_error);
}

static void call_infos(void)
{
	char byte = 55;

	start(make_calls);
	show_info("at a signal");
	request(SETOPTIONS, child, 0, 1);
	until_call(SYS_gettid, SYSCALL);
	show_info("entry");
	until_call(SYS_dup, SYSCALL);
	request(SYSCALL, child, 0, 0);
	waitpid(child, NULL, 0);
	show_info("exit");
	printf("no room: %ld, %d\n", request(GET_SYSCALL_INFO, child, 0, (uintptr_t)&byte), byte);
	printf("one byte: %ld, %d\n", request(GET_SYSCALL_INFO, child, 1, (uintptr_t)&byte), byte);
	printf("nowhere: %s\n", result_text(request(GET_SYSCALL_INFO, child, 80, 8)));
	end();
}

struct peek_arguments { uint64_t offset; uint32_t flags; int32_t n; };

static void show_queue(const char *what, uint64_t offset, uint32_t flags, int n)
{
	struct peek_arguments arguments = { offset, flags, n };
	siginfo_t infos[4];
	long found = request(PEEKSIGINFO, child, (uintptr_t)&arguments, (uintptr_t)infos);

	printf("%s: %s", what, result_text(found));
	for (int i = 0; i < found; i++)
		printf(", %d code %d", infos[i].si_signo, infos[i].si_code);
	printf("\n");
}

static void block_all(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGRTMAX);
	kill(getpid(), SIGRTMAX);
	raise(SIGTERM);
	syscall(SYS_getppid);
}

static void queues(void)
{
	start(block_all);
	until_call(SYS_getppid, SYSCALL);
	show_queue("process", 0, 1, 4);
	show_queue("process, from 2", 2, 1, 4);
	show_queue("process, 1", 0, 1, 1);
	show_queue("thread", 0, 0, 4);
	show_queue("beyond", 9, 1, 4);
	show_queue("none asked for", 0, 1, 0);
	show_queue("negative", 0, 1, -1);
	show_queue("bad flags", 0, 2, 4);
	ask("no arguments", PEEKSIGINFO, 8, 8);
	end();
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 17;
	self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	map_memory();
	who();
	start(trace_me_twice);
	go("TRACEME twice", CONT, 0);
	memory();
	registers();
	bad_return("rip, not canonical", offsetof(struct regs, rip), 1ul << 62);
	bad_return("rip, the kernel", offsetof(struct regs, rip), 0xffffffff81000000);
	bad_return("cs", offsetof(struct regs, cs), 0x1003);
	bad_return("ss", offsetof(struct regs, ss), 0x1003);
	signal_stops();
	group_stops();
	attached_while_stopped();
	system_calls();
	restarts();
	steps();
	step_into_handler();
	regsets();
	program_change();
	seized();
	tracer_ends(0);
	tracer_ends(1 << 20);
	strangers();
	one_thread();
	events();
	deadly_event();
	call_infos();
	queues();
	return 4;
}
