/*
 * ptrace.h - a tracer's tools: requests on one child, told with their answers, and the ways to start it, let it go on
 * and see its stops. Each program includes it once. Nothing here may print a process id or an address.
 */
#ifndef PTRACE_H
#define PTRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include "children.h"

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

/* The raw call, so that PEEK is told apart from its errors. */
static inline long request(long what, pid_t pid, uintptr_t address, uintptr_t data)
{
	long result = syscall(SYS_ptrace, what, pid, address, data);

	return result < 0 ? -errno : result;
}

static inline const char *result_text(long result)
{
	static char text[24];

	snprintf(text, sizeof(text), "%ld", result);
	return result < 0 ? strerror((int)-result) : text;
}

static inline void ask(const char *what, long number, uintptr_t address, uintptr_t data)
{
	printf("%s: %s\n", what, result_text(request(number, child, address, data)));
}

static inline int wait_show(const char *what)
{
	return wait_for(what, child, __WALL);
}

/* Lets the child go on, with a signal, and says where it stops next. */
static inline int go(const char *what, long how, int signal)
{
	long result = request(how, child, 0, (uintptr_t)signal);

	if (result)
		printf("%s: %s\n", what, result_text(result));
	return result ? -1 : wait_show(what);
}

static inline struct regs get_regs(void)
{
	struct regs regs = { 0 };

	if (request(GETREGS, child, 0, (uintptr_t)&regs))
		printf("GETREGS failed\n");
	return regs;
}

static inline long set_regs(const struct regs *regs)
{
	return request(SETREGS, child, 0, (uintptr_t)regs);
}

/* A child that traces itself, stops once, and then runs f. */
static inline void start(void (*f)(void))
{
	child = fork_clean();
	if (!child) {
		syscall(SYS_ptrace, TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		f();
		_exit(0);
	}
	wait_show("start");
}

static inline void start_untraced(void (*f)(void))
{
	child = fork_clean();
	if (!child) {
		f();
		_exit(0);
	}
}

static inline void end(void)
{
	kill(child, SIGKILL);
	wait_show("end");
}

/* Runs on until the child is about to make that call. */
static inline void until_call(long number, long how)
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

#endif
