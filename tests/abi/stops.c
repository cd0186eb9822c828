/*
 * stops.c - job control and what wait tells of it: processes and threads that stop, go on and are killed while stopped;
 * SIGCHLD's codes; waitid.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "children.h"

static void set_handler(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(signal, &action, NULL);
}

/* --- One process --- */

static void stops_and_goes_on(int signal)
{
	pid_t pid = fork_clean();

	if (!pid) {
		raise(signal);
		sleeper();
	}
	wait_for("stopped by its own signal", pid, WUNTRACED);
	wait_for("told once", pid, WUNTRACED | WNOHANG);
	kill(pid, SIGCONT);
	wait_for("not stopped any more", pid, WUNTRACED | WCONTINUED);
	kill(pid, SIGTERM);
	wait_for("end", pid, WUNTRACED);
}

static void others_stop_it(void)
{
	static const int signals[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };

	for (int i = 0; i < 4; i++) {
		pid_t pid = fork_clean();

		if (!pid)
			sleeper();
		kill(pid, signals[i]);
		wait_for("stopped", pid, WUNTRACED);
		kill(pid, SIGTERM);
		wait_for("SIGTERM waits", pid, WNOHANG | WUNTRACED | WCONTINUED);
		kill(pid, i % 2 ? SIGKILL : SIGCONT);
		wait_for("end", pid, 0);
	}
}

static volatile sig_atomic_t handled;

static void count(int signal)
{
	handled = handled * 100 + signal;
}

/* What a stop or SIGCONT cancels, and handlers for both. */
static void handlers(void)
{
	pid_t pid = fork_clean();
	sigset_t set;

	if (!pid) {
		set_handler(SIGTSTP, count, 0);
		set_handler(SIGCONT, count, 0);
		raise(SIGTSTP);
		raise(SIGCONT);
		printf("handlers: %d\n", handled);
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		handled = 0;
		raise(SIGTSTP);
		raise(SIGCONT);
		raise(SIGTTIN);
		raise(SIGUSR1);
		set_handler(SIGTTIN, count, 0);
		set_handler(SIGUSR1, count, 0);
		sigpending(&set);
		printf("pending:");
		for (int i = 1; i < 32; i++)
			if (sigismember(&set, i))
				printf(" %d", i);
		printf("\n");
		sigfillset(&set);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		printf("then: %d\n", handled);
		set_handler(SIGTSTP, SIG_IGN, 0);
		raise(SIGTSTP);
		puts("ignored");
		fflush(NULL);
		raise(SIGSTOP);
		printf("after SIGSTOP, SIGCONT's handler: %d\n", handled);
		exit(0);
	}
	wait_for("stopped", pid, WUNTRACED);
	kill(pid, SIGCONT);
	wait_for("end", pid, 0);
}

/* System calls go on after a stop as if nothing had been. */
static void calls_go_on(void)
{
	struct timespec short_time = { 0, 30000000 };
	int ends[2], status;
	char byte = 0;
	pid_t pid;

	pipe(ends);
	pid = fork_clean();
	if (!pid) {
		long n = read(ends[0], &byte, 1);

		printf("read: %ld %c\n", n, byte);
		n = nanosleep(&short_time, NULL);
		printf("nanosleep: %ld\n", n);
		exit(0);
	}
	for (int i = 0; i < 3; i++) {
		kill(pid, SIGSTOP);
		waitpid(pid, &status, WUNTRACED);
		kill(pid, SIGCONT);
	}
	write(ends[1], "x", 1);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGCONT);
	wait_for("calls", pid, 0);
	close(ends[0]);
	close(ends[1]);
}

/* --- Threads --- */

static volatile long *shared;

static void *spin(void *arg)
{
	for (;;)
		__atomic_fetch_add(&shared[(long)arg], 1, __ATOMIC_RELAXED);
	return NULL;
}

/* All threads stop, those in system calls too, and none runs until SIGCONT. */
static void threads(void)
{
	long before[3], moved = 0;
	pid_t pid = fork_clean();
	int status;

	if (!pid) {
		pthread_t thread;

		for (long i = 1; i < 3; i++)
			pthread_create(&thread, NULL, spin, (void *)i);
		shared[0] = 1;
		sleeper();
	}
	for (int round = 0; round < 3; round++) {
		while (!shared[0] || !shared[1] || !shared[2])
			sched_yield();
		kill(pid, SIGSTOP);
		wait_for("all threads", pid, WUNTRACED);
		memcpy(before, (void *)shared, sizeof(before));
		for (int i = 0; i < 20; i++)
			sched_yield();
		usleep(20000);
		moved += memcmp(before, (void *)shared, sizeof(before)) != 0;
		shared[1] = shared[2] = 0;
		kill(pid, SIGCONT);
		wait_for("all threads", pid, WCONTINUED);
	}
	printf("moved while stopped: %ld\n", moved);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGKILL);
	wait_for("killed while stopped", pid, 0);
}

/* --- What SIGCHLD tells --- */

static volatile sig_atomic_t told, codes[16], values[16];
static volatile pid_t child;

static void on_child(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (told < 16 && info->si_pid == child && info->si_signo == signal) {
		codes[told] = info->si_code;
		values[told] = info->si_status;
	}
	told++;
}

static void wait_told(int n)
{
	while (told < n)
		sched_yield();
}

static void child_signals(int flags)
{
	struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART | flags };
	sigset_t set, old;
	int step = flags & SA_NOCLDSTOP ? 0 : 1;

	told = 0;
	memset((void *)codes, 0, sizeof(codes));
	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	child = fork_clean();
	if (!child)
		sleeper();
	sigprocmask(SIG_SETMASK, &old, NULL);
	kill(child, SIGSTOP);
	waitpid(child, NULL, WUNTRACED);
	wait_told(step);
	kill(child, SIGCONT);
	waitpid(child, NULL, WCONTINUED);
	wait_told(2 * step);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	wait_told(2 * step + 1);
	printf("SIGCHLD %d times:", told);
	for (int i = 0; i < told; i++)
		printf(" %d/%d", codes[i], values[i]);
	printf("\n");
	set_handler(SIGCHLD, SIG_DFL, 0);
}

/* --- waitid --- */

static void id_show(const char *what, idtype_t type, pid_t pid, int options)
{
	siginfo_t info;
	int result;

	memset(&info, 0xee, sizeof(info));
	result = waitid(type, pid, &info, options);
	if (result)
		printf("%s: %s\n", what, strerror(errno));
	else if (!info.si_signo)
		printf("%s: nothing, pid %d\n", what, info.si_pid);
	else
		printf("%s: signal %d errno %d code %d status %d, %s\n", what, info.si_signo, info.si_errno, info.si_code,
		       info.si_status, info.si_pid == child ? "the child" : "another");
}

static void waiting_by_id(void)
{
	child = fork_clean();
	if (!child)
		sleeper();
	id_show("no event asked for", P_PID, child, WNOHANG);
	id_show("bad option", P_PID, child, WEXITED | 0x100);
	id_show("bad type", 17, child, WEXITED);
	id_show("pid 0", P_PID, 0, WEXITED);
	id_show("not yet", P_PID, child, WEXITED | WSTOPPED | WNOHANG);
	kill(child, SIGSTOP);
	id_show("a stop, left there", P_PID, child, WSTOPPED | WNOWAIT);
	id_show("a stop", P_ALL, 0, WSTOPPED | WEXITED);
	id_show("told", P_PID, child, WSTOPPED | WNOHANG);
	kill(child, SIGCONT);
	id_show("going on, left there", P_PID, child, WCONTINUED | WNOWAIT);
	id_show("going on", P_PGID, getpgrp(), WCONTINUED);
	kill(child, SIGTERM);
	id_show("the end, left there", P_PID, child, WEXITED | WNOWAIT);
	id_show("no stop", P_PID, child, WSTOPPED | WNOHANG);
	id_show("the end", P_PID, child, WEXITED);
	id_show("nobody", P_PID, child, WEXITED);
	child = fork_clean();
	if (!child)
		_exit(77);
	id_show("an exit", P_PGID, 0, WEXITED);
	wait_for("bad options", child, 0x100);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stops_and_goes_on(SIGSTOP);
	stops_and_goes_on(SIGTSTP);
	others_stop_it();
	handlers();
	calls_go_on();
	threads();
	child_signals(0);
	child_signals(SA_NOCLDSTOP);
	waiting_by_id();
	return 5;
}
