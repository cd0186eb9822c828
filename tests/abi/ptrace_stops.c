/*
 * ptrace_stops.c - where a tracee stops, in which order, and what it makes of it: at signals, with its group, at
 * system calls, after single steps. No process id and no address is printed.
 */
#define _GNU_SOURCE
#include "ptrace.h"

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

static void listens(void)
{
	siginfo_t info;
	int status;

	start_untraced(sleeper);
	ask("seize", SEIZE, 0, 0);
	ask("listen to one that runs", LISTEN, 0, 0);
	kill(child, SIGSTOP);
	wait_show("signal");
	ask("listen at a signal", LISTEN, 0, 0);
	go("group stop", CONT, SIGSTOP);
	ask("GETSIGINFO", GETSIGINFO, 0, (uintptr_t)&info);
	printf("signal %d code %#x\n", info.si_signo, info.si_code);
	ask("listen", LISTEN, 0, 0);
	ask("go on", CONT, 0, 0);
	printf("silence: %d\n", waitpid(child, &status, WNOHANG));
	ask("interrupt", INTERRUPT, 0, 0);
	wait_show("still stopped");
	ask("listen", LISTEN, 0, 0);
	kill(child, SIGCONT);
	wait_show("continued");
	go("SIGCONT", CONT, 0);
	ask("go on", CONT, 0, 0);
	kill(child, SIGSTOP);
	wait_show("signal");
	go("group stop", CONT, SIGSTOP);
	ask("listen", LISTEN, 0, 0);
	end();
}

/* Who asked for it sees the end of a task that was killed, too; to kill it again changes nothing. */
static void seen_at_its_end(void)
{
	unsigned long message = 99;
	int status;

	start(sleeper);
	ask("SETOPTIONS", SETOPTIONS, 0, 1 << 6);
	ask("go on", CONT, 0, 0);
	kill(child, SIGKILL);
	wait_show("killed");
	request(GETEVENTMSG, child, 0, (uintptr_t)&message);
	printf("message %lu, its registers: %d\n", message, get_regs().rip != 0);
	kill(child, SIGKILL);
	printf("still there: %d\n", waitpid(child, &status, WNOHANG));
	go("end", CONT, 0);
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
	printf("%s: number %ld, %ld %ld %ld %ld %ld %ld, message %lu, signal %d code %#x\n", what, (long)regs.orig_rax,
	       regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9, message, info.si_signo, info.si_code);
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
	printf("at its start: %d, first argument %lu, flags %lx\n", regs.rip == (uint64_t)count, regs.rdi,
	       regs.rflags & 0x100);
	go("one more", SINGLESTEP, 0);
	go("end", CONT, 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal_stops();
	group_stops();
	attached_while_stopped();
	seen_at_its_end();
	seized();
	listens();
	system_calls();
	restarts();
	call_infos();
	steps();
	step_into_handler();
	return 4;
}
