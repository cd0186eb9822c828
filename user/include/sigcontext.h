/*
 * sigcontext.h - Linux's numbers and structures for signals, down to the frame and the FPU's part of it, and how to
 * set a handler. Nothing of our own.
 */
#ifndef SIGCONTEXT_H
#define SIGCONTEXT_H

#include <lib.h>

enum {
	SYS_rt_sigprocmask = 14, SYS_rt_sigpending = 127, SYS_rt_sigtimedwait = 128, SYS_rt_sigqueueinfo = 129,
	SYS_rt_sigsuspend = 130, SYS_sigaltstack = 131,
	SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2,
	SS_ONSTACK = 1, SS_DISABLE = 2,
};
#define SA_NOCLDWAIT	2ul
#define SA_SIGINFO	4ul
#define SA_RESTORER	0x04000000ul
#define SA_ONSTACK	0x08000000ul
#define SA_RESTART	0x10000000ul
#define SA_NODEFER	0x40000000ul
#define SA_RESETHAND	0x80000000ul
#define SIG_DFL		((void *)0)
#define SIG_IGN		((void *)1)
#define BIT_OF(signal)	(1ul << ((signal) - 1))
#define MAGIC1		0x46505853u
#define MAGIC2		0x46505845u
#define MXCSR_DEFAULT	0x1f80u

struct action { void *handler; uint64_t flags; void *restorer; uint64_t mask; };
struct stack { void *sp; int flags, pad; uint64_t size; };
struct info {
	int signo, error, code, pad;
	union {
		struct { int pid; uint32_t uid; uint64_t value; };
		struct { uint64_t address, lsb; uint32_t pkey; };
		uint8_t rest[112];
	};
};
struct context {
	uint64_t flags, link;
	struct stack stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, oldmask, cr2;
	uint8_t *fpstate;
	uint64_t reserved[8], mask;
};
struct sw { uint32_t magic1, extended_size; uint64_t xfeatures; uint32_t xstate_size, pad[7]; };

static inline struct sw *sw_of(struct context *uc) { return (struct sw *)(uc->fpstate + 464); }

void restorer(void);
__asm__(".text\nrestorer: mov $15, %eax\nsyscall\n");

static inline long set_handler(int signal, void *handler, uint64_t flags, uint64_t mask)
{
	struct action action = { handler, flags | SA_RESTORER | SA_SIGINFO, (void *)restorer, mask };

	return syscall4(SYS_rt_sigaction, signal, &action, NULL, 8);
}

#endif
