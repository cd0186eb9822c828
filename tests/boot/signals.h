/*
 * signals.h - a handler that notes what it was given, and what the tests of signals do again and again: for signals.c,
 * sigframe.c and sigkeys.c, each of which includes it once.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <sigcontext.h>
#include "ktap.h"

static inline uint64_t set_mask(int how, uint64_t set)
{
	uint64_t old = 0;

	EXPECT_EQ(syscall4(SYS_rt_sigprocmask, how, &set, &old, 8), 0);
	return old;
}

static inline uint64_t mask_now(void)
{
	return set_mask(SIG_BLOCK, 0);
}

static inline uint64_t pending_now(void)
{
	uint64_t set = 0;

	EXPECT_EQ(syscall2(SYS_rt_sigpending, &set, 8), 0);
	return set;
}

static inline void raise(int signal)
{
	syscall3(SYS_tgkill, getpid(), syscall0(SYS_gettid), signal);
}

static inline void ignore_result(long result) { (void)result; }

/* --- What the handlers leave --- */

static volatile int calls, last_signal;
static struct info last_info;
static struct context last_context;
static volatile uint64_t mask_inside;
static void *volatile stack_inside;

static inline void note(int signal, struct info *info, struct context *uc)
{
	calls++;
	last_signal = signal;
	last_info = *info;
	last_context = *uc;
	mask_inside = mask_now();
	stack_inside = __builtin_frame_address(0);
}

static inline void reset(void)
{
	calls = last_signal = 0;
	mask_inside = 0;
}

static inline int status_of(void (*f)(void))
{
	int status = -1;
	long pid = fork();

	if (pid == 0) {
		f();
		exit(98);
	}
	EXPECT(pid > 0);
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);
	return status;
}

#endif
