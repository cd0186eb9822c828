/*
 * timers - setitimer, alarm and timer_create as Linux has them: what is refused, what is told, what comes in which
 * order, what fork and exec pass on. No line depends on how long anything took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND 1000000L

static volatile sig_atomic_t alarms;

static void report(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void count(int signal, siginfo_t *info, void *context)
{
	(void)context;
	alarms += signal == SIGALRM && info->si_code == SI_KERNEL;
}

static void await_alarms(int n)
{
	while (alarms < n)
		usleep(1000);
}

static void real_timer(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 2000 } }, often = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct itimerval old, wrong = { { 0, 0 }, { 0, 1000000 } };
	struct sigaction action = { .sa_sigaction = count, .sa_flags = SA_SIGINFO };

	sigaction(SIGALRM, &action, NULL);
	report("a million microseconds", setitimer(ITIMER_REAL, &wrong, NULL));
	wrong.it_value.tv_usec = -1;
	report("negative", setitimer(ITIMER_REAL, &wrong, NULL));
	report("no such timer", setitimer(77, &once, NULL));
	report("bad address", syscall(SYS_setitimer, ITIMER_REAL, 8, NULL));
	report("once", setitimer(ITIMER_REAL, &once, NULL));
	await_alarms(1);
	report("spent", getitimer(ITIMER_REAL, &old));
	report("left", old.it_value.tv_sec + old.it_value.tv_usec);
	report("often", setitimer(ITIMER_REAL, &often, NULL));
	await_alarms(5);
	report("off", setitimer(ITIMER_REAL, &off, &old));
	report("interval", old.it_interval.tv_usec);
	report("some of it left", old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 2000);
}

static void alarm_calls(void)
{
	report("alarm", alarm(100));
	report("alarm again", alarm(50) > 90);
	if (!fork()) {
		report("a child's alarm", alarm(0));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	report("alarm off", alarm(0) > 40);
}

static void interrupted(void)
{
	struct timespec hour = { 3600, 0 };
	struct itimerval once = { { 0, 0 }, { 0, 3000 } };

	setitimer(ITIMER_REAL, &once, NULL);
	report("a sleep that it ends", nanosleep(&hour, NULL));
}

/* The signals of two timers in the order in which they expire; blocked meanwhile, so none is lost. */
static void order(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3 };
	struct itimerspec later = { { 0, 0 }, { 0, 400 * MILLISECOND } }, sooner = { { 0, 0 }, { 0, 5 * MILLISECOND } };
	timer_t timers[2];
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 2; i++) {
		event.sigev_value.sival_int = 100 + i;
		report("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timers[i]));
	}
	timer_settime(timers[0], 0, &later, NULL);
	timer_settime(timers[1], 0, &sooner, NULL);
	for (int i = 0; i < 2; i++) {
		sigwaitinfo(&set, &info);
		printf("value %d, code %d, overrun %d\n", info.si_value.sival_int, info.si_code, info.si_overrun);
	}
	for (int i = 0; i < 2; i++)
		report("timer_delete", timer_delete(timers[i]));
}

/* One signal is queued however often it expires; the rest is counted. */
static void overruns(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3 };
	struct itimerspec often = { { 0, MILLISECOND }, { 0, MILLISECOND } }, off = { { 0, 0 }, { 0, 0 } };
	sigset_t set, pending;
	siginfo_t info;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &often, NULL);
	usleep(30000);
	report("one signal", sigwaitinfo(&set, &info) == SIGRTMIN + 3);
	report("overruns", info.si_overrun > 3);
	timer_settime(timer, 0, &off, NULL);
	for (int i = 0; i < 2; i++) {
		sigpending(&pending);
		if (sigismember(&pending, SIGRTMIN + 3))
			sigwaitinfo(&set, &info);
	}
	sigpending(&pending);
	report("pending", sigismember(&pending, SIGRTMIN + 3));
	report("timer_delete", timer_delete(timer));
}

static void refusals(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65 };
	struct itimerspec spec = { { 0, 0 }, { 0, 1000 * MILLISECOND } };
	int id = 5;

	report("signal 65", syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	event.sigev_notify = 99;
	report("notify 99", syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	report("clock 99", syscall(SYS_timer_create, 99, NULL, &id));
	report("id to nowhere", syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 8));
	report("the first id", syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) ? -1 : id >= 0);
	report("a second of nanoseconds", syscall(SYS_timer_settime, id, 0, &spec, NULL));
	report("no value", syscall(SYS_timer_settime, id, 0, NULL, NULL));
	report("another's id", syscall(SYS_timer_gettime, id + 77, &spec));
	report("gettime", syscall(SYS_timer_gettime, id, &spec));
	report("not armed", spec.it_value.tv_sec + spec.it_value.tv_nsec);
	report("getoverrun", syscall(SYS_timer_getoverrun, id));
	if (!fork()) {
		report("a child's", syscall(SYS_timer_gettime, id, &spec));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	report("delete", syscall(SYS_timer_delete, id));
	report("delete again", syscall(SYS_timer_delete, id));
}

/* One that nobody handles ends the process. */
static void deadly(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 1000 } };
	int status;

	if (!fork()) {
		signal(SIGALRM, SIG_DFL);
		setitimer(ITIMER_REAL, &once, NULL);
		for (;;)
			pause();
	}
	wait(&status);
	report("ended by", WTERMSIG(status));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	real_timer();
	alarm_calls();
	interrupted();
	order();
	overruns();
	refusals();
	deadly();
	return 0;
}
