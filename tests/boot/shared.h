/*
 * shared.h - a page that a tracer, its tracees and others share, and children that are not traced from the start: for
 * ptrace.c and ptracerace.c.
 */
#ifndef SHARED_H
#define SHARED_H

#include "ktap.h"

/* What tracer, tracee and others tell each other. */
static volatile int *shared;

static inline void sleeper(void)
{
	for (;;)
		syscall0(SYS_pause);
}

static inline void spinner(void)
{
	while (!shared[0])
		shared[1]++;
}

static inline long start_untraced(void (*f)(void))
{
	long pid = fork();

	if (pid == 0) {
		f();
		exit(0);
	}
	return pid;
}

static inline int run_with_shared(const struct ktap_test *tests, int n)
{
	int bad;

	shared = (volatile int *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bad = ktap_run(tests, n);
	munmap((void *)shared, PAGE_SIZE);
	return bad;
}

#endif
