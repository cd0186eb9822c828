/*
 * ptrace.h - a tracer's tools for the boot tests: requests, a child that traces itself, waiting for its stops.
 */
#ifndef PTRACE_H
#define PTRACE_H

#include "ktap.h"

#define STOPPED(signal)	((signal) << 8 | 0x7f)

struct user_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags, rsp,
		ss, fs_base, gs_base, ds, es, fs, gs;
};

static int tracee;

static inline long ptrace(long request, const volatile void *address, uint64_t data)
{
	return syscall4(SYS_ptrace, request, tracee, address, data);
}

/* WNOHANG: next_stop asks again and again, so that it finds the tracee as early as it can. */
static int eager_wait;

/* Waits for the tracee's next stop, or its end. */
static inline int next_stop(void)
{
	int status = -1;
	long pid;

	while (!(pid = wait4(tracee, &status, WALL | eager_wait)))
		;
	EXPECT_EQ(pid, tracee);
	return status;
}

static inline int go(long request, int signal)
{
	EXPECT_EQ(ptrace(request, NULL, (uint64_t)signal), 0);
	return next_stop();
}

/* A child that lets us trace it, has stopped, and will run f; its status is the number of its failed checks. */
static inline void start_tracee(void (*f)(void))
{
	tracee = (int)fork();
	if (tracee == 0) {
		ktap_failed = 0;
		syscall4(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
		kill((int)getpid(), SIGSTOP);
		f();
		exit(ktap_failed > 100 ? 100 : ktap_failed);
	}
	EXPECT(tracee > 0);
	EXPECT_EQ(next_stop(), STOPPED(SIGSTOP));
}

/* It ends by itself, and its checks were good. */
static inline void expect_end(void)
{
	EXPECT_EQ(go(PTRACE_CONT, 0), 0);
}

static inline void kill_tracee(void)
{
	kill(tracee, SIGKILL);
	EXPECT_EQ(next_stop(), SIGKILL);
}

static inline struct user_regs get_regs(void)
{
	struct user_regs regs = { 0 };

	EXPECT_EQ(ptrace(PTRACE_GETREGS, NULL, (uint64_t)&regs), 0);
	return regs;
}

/* On to the next end of a system call with that number. */
static inline void until_call(long number)
{
	do {
		if (go(PTRACE_SYSCALL, 0) != STOPPED(SIGTRAP) || go(PTRACE_SYSCALL, 0) != STOPPED(SIGTRAP)) {
			FAIL("no call %ld", number);
			return;
		}
	} while ((long)get_regs().orig_rax != number);
}

static inline long regset(long request, long type, void *base, size_t *size)
{
	struct iovec iovec = { base, *size };
	long result = ptrace(request, (void *)type, (uint64_t)&iovec);

	*size = iovec.len;
	return result;
}

#endif
