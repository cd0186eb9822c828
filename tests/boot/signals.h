/*
 * signals.h - Linux's structures and numbers for signals, and a handler that notes what it was given: for signals.c,
 * sigframe.c and sigkeys.c, each of which includes it once.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "ktap.h"

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
#define AT_MINSIGSTKSZ	51
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
