/*
 * ptrace.c - a debugger and its tracees: who may ask, what becomes of both at exec and at the end of either, of
 * threads one by one, and of a tracee's own children. No process id and no address is printed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include "ptrace.h"

static volatile long *shared;

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
	until_call(SYS_execve, SYSCALL);
	go("step over exec", SINGLESTEP, 0);
	printf("result %ld\n", (long)get_regs().rax);
	go("step on", SINGLESTEP, 0);
	go("end", CONT, 0);
	start(run_self);
	ask("TRACEEXEC", SETOPTIONS, 0, 1 << 4);
	go("exec", CONT, 0);
	go("end", CONT, 0);
}

/* A tracer that ends: its tracee goes on, or is killed if that was asked for. */
static void tracer_ends(int options)
{
	pid_t tracer, tracee;
	int status;

	shared[0] = 0;
	tracee = fork_clean();
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

	shared[0] = shared[1] = 0;
	tracee = fork_clean();
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

static void *last_thread(void *arg)
{
	while (!shared[2])
		sched_yield();
	_exit(9);
	return arg;
}

static void first_thread_ends(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, last_thread, NULL);
	syscall(SYS_exit, 7);
}

/* The first thread's end is told with the process's. */
static void first_thread(void)
{
	int status;

	shared[2] = 0;
	start(first_thread_ends);
	ask("options", SETOPTIONS, 0, 0x40);
	go("its end", CONT, 0);
	ask("go on", CONT, 0, 0);
	usleep(20000);
	printf("not yet: %d\n", waitpid(child, &status, WNOHANG | __WALL));
	ask("it is not stopped", GETREGS, 0, 0);
	shared[2] = 1;
	wait_show("the process ends");
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

int main(int argc, char **argv)
{
	if (argc > 1)
		return 17;
	self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	who();
	start(trace_me_twice);
	go("TRACEME twice", CONT, 0);
	program_change();
	tracer_ends(0);
	tracer_ends(1 << 20);
	strangers();
	one_thread();
	first_thread();
	events();
	deadly_event();
	return 4;
}
