/*
 * signals.c - signals through a C library: sigaction, siglongjmp out of a fault, sigsetjmp's mask, sigsuspend, sigwait,
 * sigqueue, pthread_kill and pthread_sigmask, SIGCHLD, abort with a handler.
 * Prints no number that may differ between two systems.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf jump;
static volatile sig_atomic_t count;
static siginfo_t info_seen;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	info_seen = *info;
	siglongjmp(jump, signal);
}

static void on_count(int signal)
{
	count++;
}

static void on_info(int signal, siginfo_t *info, void *context)
{
	info_seen = *info;
	count++;
}

static void handle(int signal, void (*handler)(int), void (*action)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_flags = flags | (action ? SA_SIGINFO : 0) };

	if (action)
		sa.sa_sigaction = action;
	else
		sa.sa_handler = handler;
	sigemptyset(&sa.sa_mask);
	if (sigaction(signal, &sa, NULL))
		perror("sigaction");
}

static void faults(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int signal;

	handle(SIGSEGV, NULL, on_fault, 0);
	handle(SIGFPE, NULL, on_fault, 0);
	handle(SIGILL, NULL, on_fault, 0);
	for (int round = 0; round < 3; round++) {
		signal = sigsetjmp(jump, 1);
		if (!signal)
			*(volatile char *)page = 1;
		printf("write: %s, code %d, %s address\n", strsignal(signal), info_seen.si_code,
		       info_seen.si_addr == page ? "right" : "wrong");
	}
	munmap(page, 4096);
	if (!(signal = sigsetjmp(jump, 1)))
		*(volatile char *)page = 1;
	printf("no page: %s, code %d\n", strsignal(signal), info_seen.si_code);
	if (!(signal = sigsetjmp(jump, 1)))
		printf("%d\n", 1 / (int)(count - count));
	printf("divide: %s, code %d\n", strsignal(signal), info_seen.si_code);
	if (!(signal = sigsetjmp(jump, 1)))
		__builtin_trap();
	printf("trap: %s, code %d\n", strsignal(signal), info_seen.si_code);
	handle(SIGSEGV, SIG_DFL, NULL, 0);
}

static void waiting(void)
{
	sigset_t set, old;
	union sigval value = { .sival_int = 4711 };
	siginfo_t info;
	int signal;

	handle(SIGUSR1, on_count, NULL, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	printf("blocked: %d calls\n", (int)count);
	sigsuspend(&old);
	printf("sigsuspend: %s, %d calls\n", strerror(errno), (int)count);
	kill(getpid(), SIGUSR2);
	sigwait(&set, &signal);
	printf("sigwait: %s\n", strsignal(signal));
	for (int i = 0; i < 3; i++, value.sival_int++)
		sigqueue(getpid(), SIGRTMIN, value);
	while (sigtimedwait(&set, &info, &(struct timespec){ 0, 0 }) > 0)
		printf("queued %d, code %d\n", info.si_value.sival_int, info.si_code);
	printf("then: %s\n", strerror(errno));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void children(void)
{
	sigset_t set, old;
	int status;

	count = 0;
	handle(SIGCHLD, NULL, on_info, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	if (fork() == 0)
		_exit(5);
	sigsuspend(&old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("SIGCHLD: code %d, status %d\n", info_seen.si_code, info_seen.si_status);
	while (wait(&status) < 0 && errno == EINTR)
		;
	printf("status %d\n", WEXITSTATUS(status));
	handle(SIGCHLD, SIG_DFL, NULL, 0);
}

static pthread_t taker;
static volatile int taken_by_taker, ready;

static void on_taken(int signal)
{
	taken_by_taker = pthread_equal(pthread_self(), taker);
	count++;
}

static void *take(void *argument)
{
	double x = 0;

	ready = 1;
	while (count < 100)
		x += sin(x);
	return argument;
}

static void threads(void)
{
	int last = 0;

	count = 0;
	handle(SIGUSR1, on_taken, NULL, SA_RESTART);
	pthread_create(&taker, NULL, take, NULL);
	while (!ready)
		sched_yield();
	while (count < 100) {
		pthread_kill(taker, SIGUSR1);
		while (count == last)
			sched_yield();
		last = count;
	}
	pthread_join(taker, NULL);
	printf("pthread_kill: %d, by %s\n", (int)count, taken_by_taker ? "the thread" : "another");
}

static void on_abort(int signal)
{
	write(1, "abort\n", 6);
}

int main(void)
{
	faults();
	waiting();
	children();
	threads();
	fflush(stdout);
	handle(SIGABRT, on_abort, NULL, 0);
	abort();
}
