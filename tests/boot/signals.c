/*
 * signals - handlers, masks, frames and what interrupts what, as on Linux. Catches: a handler that finds the
 * interrupted program's registers or leaves its own behind; a frame that is not Linux's to the byte; a sigreturn that
 * believes what it reads; a frame written beyond the alternate stack; a system call that is made twice, or never
 * again; a fault that can be blocked or ignored, and so never ends; a signal lost between threads.
 */
#include "threads.h"

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

static struct sw *sw_of(struct context *uc) { return (struct sw *)(uc->fpstate + 464); }

void restorer(void);
__asm__(".text\nrestorer: mov $15, %eax\nsyscall\n");

static long set_handler(int signal, void *handler, uint64_t flags, uint64_t mask)
{
	struct action action = { handler, flags | SA_RESTORER | SA_SIGINFO, (void *)restorer, mask };

	return syscall4(SYS_rt_sigaction, signal, &action, NULL, 8);
}

static uint64_t set_mask(int how, uint64_t set)
{
	uint64_t old = 0;

	EXPECT_EQ(syscall4(SYS_rt_sigprocmask, how, &set, &old, 8), 0);
	return old;
}

static uint64_t mask_now(void)
{
	return set_mask(SIG_BLOCK, 0);
}

static uint64_t pending_now(void)
{
	uint64_t set = 0;

	EXPECT_EQ(syscall2(SYS_rt_sigpending, &set, 8), 0);
	return set;
}

static void raise(int signal)
{
	syscall3(SYS_tgkill, getpid(), syscall0(SYS_gettid), signal);
}

static void ignore_result(long result) { (void)result; }

/* --- What the handlers leave --- */

static volatile int calls, last_signal;
static struct info last_info;
static struct context last_context;
static volatile uint64_t mask_inside;
static void *volatile stack_inside;

static void note(int signal, struct info *info, struct context *uc)
{
	calls++;
	last_signal = signal;
	last_info = *info;
	last_context = *uc;
	mask_inside = mask_now();
	stack_inside = __builtin_frame_address(0);
}

static void reset(void)
{
	calls = last_signal = 0;
	mask_inside = 0;
}

/* --- Dispositions and masks --- */

static void handler_runs(void)
{
	reset();
	EXPECT_EQ(set_handler(SIGUSR1, note, 0, BIT_OF(SIGUSR2)), 0);
	EXPECT_EQ(kill((int)getpid(), SIGUSR1), 0);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_signal, SIGUSR1);
	EXPECT_EQ(last_info.signo, SIGUSR1);
	EXPECT_EQ(last_info.code, 0);
	EXPECT_EQ(last_info.pid, getpid());
	EXPECT_EQ(mask_inside, BIT_OF(SIGUSR1) | BIT_OF(SIGUSR2));
	EXPECT_EQ(mask_now(), 0);
	raise(SIGUSR1);
	EXPECT_EQ(last_info.code, -6);
	EXPECT_EQ(calls, 2);
}

static void flags_count(void)
{
	struct action old;

	reset();
	set_handler(SIGUSR1, note, SA_NODEFER | SA_RESETHAND, 0);
	raise(SIGUSR1);
	EXPECT_EQ(mask_inside, 0);
	EXPECT_EQ(syscall4(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8), 0);
	EXPECT_EQ(old.handler, SIG_DFL);
	EXPECT_EQ(set_handler(SIGKILL, note, 0, 0), -EINVAL);
	EXPECT_EQ(set_handler(19, note, 0, 0), -EINVAL);
	EXPECT_EQ(set_handler(65, note, 0, 0), -EINVAL);
	EXPECT_EQ(set_handler(0, note, 0, 0), -EINVAL);
	EXPECT_EQ(syscall4(SYS_rt_sigaction, SIGUSR1, NULL, &old, 4), -EINVAL);
	EXPECT_EQ(syscall4(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), -EFAULT);
	EXPECT_EQ(syscall4(SYS_rt_sigprocmask, 7, &old, NULL, 8), -EINVAL);
}

static void blocked_waits(void)
{
	reset();
	set_handler(SIGUSR1, note, 0, 0);
	set_handler(34, note, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1) | BIT_OF(34) | BIT_OF(SIGKILL));
	EXPECT_EQ(mask_now(), BIT_OF(SIGUSR1) | BIT_OF(34));
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(34);
	raise(34);
	EXPECT_EQ(calls, 0);
	EXPECT_EQ(pending_now(), BIT_OF(SIGUSR1) | BIT_OF(34));
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(calls, 3); /* one of the standard signal, both of the real-time one */
	EXPECT_EQ(pending_now(), 0);
}

static void ignored_is_gone(void)
{
	reset();
	set_handler(SIGUSR1, SIG_IGN, 0, 0);
	raise(SIGUSR1);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	raise(SIGUSR1);
	EXPECT_EQ(pending_now(), BIT_OF(SIGUSR1)); /* blocked: it may still get a handler */
	set_handler(SIGUSR1, SIG_IGN, 0, 0);
	EXPECT_EQ(pending_now(), 0);
	set_mask(SIG_SETMASK, 0);
	set_handler(SIGUSR1, SIG_DFL, 0, 0);
}

static void waited_for(void)
{
	uint64_t set = BIT_OF(SIGUSR1);
	struct timespec soon = { 0, 2000000 };
	struct info info;

	set_handler(SIGUSR1, SIG_DFL, 0, 0);
	set_mask(SIG_BLOCK, set);
	EXPECT_EQ(syscall4(SYS_rt_sigtimedwait, &set, &info, &soon, 8), -EAGAIN);
	raise(SIGUSR1);
	EXPECT_EQ(syscall4(SYS_rt_sigtimedwait, &set, &info, NULL, 8), SIGUSR1);
	EXPECT_EQ(info.code, -6);
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(pending_now(), 0);
}

/* --- Registers: the handler's are fresh, the program's come back --- */

static volatile uint32_t mxcsr_inside;
static volatile uint16_t fcw_inside;
static uint8_t xmm_inside[16];

static void look_at_fpu(int signal, struct info *info, struct context *uc)
{
	uint32_t mxcsr;
	uint16_t fcw;
	static const uint8_t junk[16] = { 0xee, 0xee, 0xee };

	__asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tmovups %%xmm9, %2" : "=m"(mxcsr), "=m"(fcw), "=m"(xmm_inside));
	mxcsr_inside = mxcsr;
	fcw_inside = fcw;
	mxcsr = 0x9fc0;
	__asm__ volatile("movups %0, %%xmm9\n\tldmxcsr %1\n\tfld1\n\tfld1" : : "m"(junk), "m"(mxcsr));
	note(signal, info, uc);
}

static void fpu_is_kept(void)
{
	uint8_t before[16], after[16], zero[16] = { 0 };
	uint32_t mxcsr = 0x7f80, mxcsr_after;
	uint16_t fcw = 0x27f, fcw_after;
	long result;

	for (int i = 0; i < 16; i++)
		before[i] = (uint8_t)(i * 17 + 1);
	set_handler(SIGUSR1, look_at_fpu, 0, 0);
	reset();
	__asm__ volatile("movups %3, %%xmm9\n\tldmxcsr %4\n\tfldcw %5\n\tsyscall\n\tmovups %%xmm9, %0\n\t"
			 "stmxcsr %1\n\tfnstcw %2\n\tfninit"
			 : "=m"(after), "=m"(mxcsr_after), "=m"(fcw_after), "+m"(before), "+m"(mxcsr), "+m"(fcw),
			   "=a"(result)
			 : "a"((long)SYS_kill), "D"(getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "xmm9", "memory");
	EXPECT_EQ(result, 0);
	EXPECT_EQ(calls, 1);
	EXPECT(!memcmp(before, after, 16));
	EXPECT_EQ(mxcsr_after, 0x7f80);
	EXPECT_EQ(fcw_after, 0x27f);
	EXPECT_EQ(mxcsr_inside, MXCSR_DEFAULT);
	EXPECT_EQ(fcw_inside, 0x37f);
	EXPECT(!memcmp(xmm_inside, zero, 16));
	mxcsr = MXCSR_DEFAULT;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

/* The frame's FP part is an XSAVE image with Linux's descriptor; what the handler writes there counts. */
static void edit_frame(int signal, struct info *info, struct context *uc)
{
	struct sw *sw = sw_of(uc);
	uint64_t bv;

	note(signal, info, uc);
	EXPECT_EQ((uint64_t)uc->fpstate % 64, 0);
	EXPECT_EQ((uint64_t)uc % 16, 0); /* 8 above the frame, which is 8 below a multiple of 16 */
	EXPECT_EQ((uint8_t *)info - (uint8_t *)uc, 304);
	EXPECT_EQ(sw->magic1, MAGIC1);
	EXPECT_EQ(sw->extended_size, sw->xstate_size + 4);
	EXPECT_EQ(*(uint32_t *)(uc->fpstate + sw->xstate_size), MAGIC2);
	EXPECT_EQ(uc->flags, 7);
	memcpy(&bv, uc->fpstate + 512, 8);
	EXPECT_EQ(bv & 3, 3);
	EXPECT_EQ(bv & ~sw->xfeatures, 0);
	memset(uc->fpstate + 160 + 9 * 16, 0x5a, 16);
	*(uint32_t *)(uc->fpstate + 24) = 0x3f80;
	uc->rbx = 0x123456789abcdef0;
}

static void frame_is_linux(void)
{
	uint8_t after[16];
	uint32_t mxcsr = MXCSR_DEFAULT, mxcsr_after;
	uint64_t rbx = 1;
	long result;

	set_handler(SIGUSR1, edit_frame, 0, 0);
	reset();
	__asm__ volatile("syscall\n\tmovups %%xmm9, %0\n\tstmxcsr %1"
			 : "=m"(after), "=m"(mxcsr_after), "+b"(rbx), "=a"(result)
			 : "a"((long)SYS_kill), "D"(getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "xmm9", "memory");
	EXPECT_EQ(calls, 1);
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(after[i], 0x5a);
	EXPECT_EQ(mxcsr_after, 0x3f80);
	EXPECT_EQ(rbx, 0x123456789abcdef0);
	EXPECT_EQ(last_context.rax, 0);
	EXPECT_EQ(last_context.cs, 0x33);
	EXPECT_EQ(last_context.ss, 0x2b);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

/* --- Hostile frames: each ends in SIGSEGV, which may be handled --- */

static int spoil_how;
static volatile int segv_calls;

static void spoil(int signal, struct info *info, struct context *uc)
{
	uint64_t *header = (uint64_t *)(uc->fpstate + 512);

	(void)signal;
	(void)info;
	calls++;
	switch (spoil_how) {
	case 0: header[0] |= 1ul << 60; break;		/* a component that does not exist */
	case 1: header[1] = 1ul << 63; break;		/* compacted */
	case 2: header[2] = 1; break;			/* reserved */
	case 3: *(uint32_t *)(uc->fpstate + 24) = 0xffffffff; break; /* MXCSR */
	case 4: uc->fpstate = (uint8_t *)0x10000; break; /* nothing there */
	case 5: uc->fpstate += 8; break;		/* misaligned */
	case 6: uc->rip = 1ul << 62; break;		/* not canonical */
	case 7: uc->cs = 0x10; break;			/* the kernel's data */
	case 8: uc->ss = 0x08; break;
	case 9: uc->cs = 0x33 + 0x100; break;
	case 10: uc->fpstate = (uint8_t *)0xffffffff80000000; break;
	case 11: header[0] |= 1ul << 10; break;		/* PASID: a supervisor component */
	case 12: uc->rip = 0xffffffff80100000; break;	/* the kernel */
	}
}
#define SPOILERS 13

static void count_segv(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	segv_calls++;
	exit(ktap_failed || calls != 2 ? 99 : 42);
}

static void spoiled_unhandled(void)
{
	set_handler(SIGUSR1, spoil, 0, 0);
	raise(SIGUSR1);
	exit(1);
}

static void spoiled_handled(void)
{
	reset();
	set_handler(SIGSEGV, count_segv, 0, 0);
	spoiled_unhandled();
}

static int status_of(void (*f)(void))
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

static void bad_frames(void)
{
	for (spoil_how = 0; spoil_how < SPOILERS; spoil_how++) {
		int handled = status_of(spoiled_handled), unhandled = status_of(spoiled_unhandled);

		if (handled != 42 << 8 || (unhandled & 0x7f) != SIGSEGV)
			FAIL("frame %d: status %x with a handler, %x without", spoil_how, handled, unhandled);
	}
}

/* sigreturn from nowhere: there is no frame at all. */
static void bare_sigreturn(void)
{
	__asm__ volatile("xor %%esp, %%esp\n\tmov $15, %%eax\n\tsyscall" : : : "rax", "rcx", "r11", "memory");
}

static void no_frame(void)
{
	EXPECT_EQ(status_of(bare_sigreturn) & 0x7f, SIGSEGV);
}

/* Flags that are not the program's stay as they are; those that are come back. */
static void change_flags(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->rflags |= 0x40 | 0x3000 | 0x4000; /* ZF; IOPL and NT are not ours */
	uc->rflags &= ~0x200ul;		      /* nor is IF */
}

static void flags_are_filtered(void)
{
	uint64_t rflags, zero;
	long result;

	set_handler(SIGUSR1, change_flags, 0, 0);
	__asm__ volatile("test %%rsp, %%rsp\n\tsyscall\n\tpushfq\n\tpop %0\n\tmov $0, %1"
			 : "=r"(rflags), "=r"(zero), "=a"(result)
			 : "a"((long)SYS_kill), "D"(getpid()), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
	EXPECT_EQ(rflags & 0x7240, 0x240);
}

/* --- Faults --- */

static void *fault_page;

static void skip_two(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->rip += 2;
}

static void fix_page(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	mprotect(fault_page, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void faults_have_codes(void)
{
	fault_page = (void *)mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reset();
	set_handler(SIGSEGV, fix_page, 0, 0);
	*(volatile char *)fault_page = 1; /* again after the handler */
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 2);
	EXPECT_EQ(last_info.address, fault_page);
	EXPECT_EQ(last_context.trap, 14);
	EXPECT_EQ(last_context.cr2, fault_page);
	EXPECT_EQ(last_context.error & 7, 6 | (last_context.error & 1));
	munmap(fault_page, PAGE_SIZE);
	set_handler(SIGSEGV, skip_two, 0, 0);
	__asm__ volatile("movb (%0), %%al" : : "a"(fault_page)); /* 2 bytes */
	EXPECT_EQ(calls, 2);
	EXPECT_EQ(last_info.code, 1);
	EXPECT_EQ(last_info.address, fault_page);
	set_handler(SIGILL, skip_two, 0, 0);
	__asm__ volatile("ud2");
	EXPECT_EQ(last_signal, SIGILL);
	EXPECT_EQ(last_info.code, 2);
	EXPECT_EQ(last_info.address, last_context.rip);
	set_handler(SIGFPE, skip_two, 0, 0);
	__asm__ volatile("xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\tdivl %%ecx" : : : "rax", "rcx", "rdx");
	EXPECT_EQ(last_signal, SIGFPE);
	EXPECT_EQ(last_info.code, 1);
	set_handler(SIGTRAP, note, 0, 0);
	__asm__ volatile("int3");
	EXPECT_EQ(last_signal, SIGTRAP);
	EXPECT_EQ(last_info.code, 0x80);
	EXPECT_EQ(calls, 5);
}

static void mask_exceptions(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	*(uint16_t *)uc->fpstate |= 0x3f;
	*(uint16_t *)(uc->fpstate + 2) &= 0x7f00;
	*(uint32_t *)(uc->fpstate + 24) |= MXCSR_DEFAULT;
}

static void x87_faults(void)
{
	uint16_t fcw = 0x37f & ~4;

	reset();
	set_handler(SIGFPE, mask_exceptions, 0, 0);
	__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait\n\tfninit" : : "m"(fcw));
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 3);
	EXPECT_EQ(last_context.trap, 16);
}

/* QEMU never raises one. */
static int emulated_by_qemu(void)
{
	uint32_t eax = 0x40000000, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx == 0x54474354; /* "TCGT" */
}

static void simd_faults(void)
{
	uint32_t mxcsr = MXCSR_DEFAULT & ~0x80u; /* invalid */
	static const float zero[4] = { 0 };

	if (emulated_by_qemu())
		SKIP("QEMU has no SIMD exceptions");
	reset();
	set_handler(SIGFPE, mask_exceptions, 0, 0);
	__asm__ volatile("ldmxcsr %0\n\tmovups %1, %%xmm3\n\tdivps %%xmm3, %%xmm3" : : "m"(mxcsr), "m"(zero) : "xmm3");
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 7);
	EXPECT_EQ(last_context.trap, 19);
	mxcsr = MXCSR_DEFAULT;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static volatile int zero_word;

static void fault_blocked(void)
{
	set_handler(SIGSEGV, note, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGSEGV));
	*(volatile char *)(long)zero_word = 0;
}

static void fault_ignored(void)
{
	set_handler(SIGILL, SIG_IGN, 0, 0);
	__asm__ volatile("ud2");
}

static void faults_are_forced(void)
{
	EXPECT_EQ(status_of(fault_blocked) & 0x7f, SIGSEGV);
	EXPECT_EQ(status_of(fault_ignored) & 0x7f, SIGILL);
}

/* --- Alternate stacks --- */

#define ALT_SIZE (8 * PAGE_SIZE)
static uint8_t alternate[ALT_SIZE] __attribute__((aligned(4096)));

static void alternate_stack(void)
{
	struct stack stack = { alternate, 0, 0, ALT_SIZE }, old;

	EXPECT_EQ(syscall2(SYS_sigaltstack, NULL, &old), 0);
	EXPECT_EQ(old.flags, SS_DISABLE);
	EXPECT_EQ(syscall2(SYS_sigaltstack, &stack, NULL), 0);
	set_handler(SIGUSR1, note, SA_ONSTACK, 0);
	reset();
	raise(SIGUSR1);
	EXPECT((uint8_t *)stack_inside > alternate && (uint8_t *)stack_inside < alternate + ALT_SIZE);
	EXPECT_EQ(last_context.stack.size, ALT_SIZE);
	EXPECT_EQ(syscall2(SYS_sigaltstack, NULL, &old), 0);
	EXPECT_EQ(old.flags, 0);
	stack.size = 2047;
	EXPECT_EQ(syscall2(SYS_sigaltstack, &stack, NULL), -ENOMEM);
	stack.flags = SS_DISABLE;
	EXPECT_EQ(syscall2(SYS_sigaltstack, &stack, NULL), 0);
}

/* As large as AT_MINSIGSTKSZ says is enough for the frame; what lies below a smaller one stays as it was. */
static void look_below(int signal)
{
	(void)signal;
	for (size_t i = 0; i < PAGE_SIZE; i++)
		if (alternate[i] != 0xcd)
			exit(44);
	exit(43);
}

static void small_stack(void)
{
	struct stack stack = { alternate + PAGE_SIZE, 0, 0, 2048 };

	memset(alternate, 0xcd, PAGE_SIZE);
	set_handler(SIGUSR1, note, SA_ONSTACK, 0);
	set_handler(SIGSEGV, look_below, 0, 0);
	syscall2(SYS_sigaltstack, &stack, NULL);
	raise(SIGUSR1);
	exit(1);
}

static void overflow_refused(void)
{
	uint64_t least = getauxval(AT_MINSIGSTKSZ);
	struct stack stack = { alternate, 0, 0, least + 2048 };

	EXPECT(least > 440 + 576);
	EXPECT_EQ(syscall2(SYS_sigaltstack, &stack, NULL), 0);
	set_handler(SIGUSR1, note, SA_ONSTACK, 0);
	reset();
	raise(SIGUSR1);
	EXPECT_EQ(calls, 1);
	stack.flags = SS_DISABLE;
	syscall2(SYS_sigaltstack, &stack, NULL);
	if (least > 2048 + 64)
		EXPECT_EQ(status_of(small_stack), 43 << 8);
}

/* --- Sleeping system calls --- */

static long killer_of_parent(int signal, int times)
{
	int parent = (int)getpid();
	long pid = fork();

	if (pid)
		return pid;
	for (int i = 0; i < times; i++) {
		sleep_ms(5);
		kill(parent, signal);
	}
	exit(0);
}

static void sleeps_end(void)
{
	struct timespec day = { 86400, 0 }, left = { 0, 0 };
	uint32_t word = 1;
	uint64_t none = 0;
	long pid, child = fork();
	int fds[2];
	char c;

	if (child == 0) {
		sleep_ms(1000000);
		exit(1);
	}
	pipe(fds);
	reset();
	set_handler(SIGUSR1, note, 0, 0);
	pid = killer_of_parent(SIGUSR1, 1000000);
	EXPECT_EQ(syscall2(SYS_nanosleep, &day, &left), -EINTR);
	EXPECT(left.tv_sec >= 86000 && left.tv_sec < 86400);
	EXPECT_EQ(futex(&word, FUTEX_WAIT, 1, NULL), -EINTR);
	EXPECT_EQ(futex(&word, FUTEX_WAIT, 1, &day), -EINTR);
	EXPECT_EQ(read(fds[0], &c, 1), -EINTR);
	EXPECT_EQ(wait4((int)child, NULL, 0), -EINTR);
	EXPECT_EQ(syscall0(SYS_pause), -EINTR);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	EXPECT_EQ(syscall2(SYS_rt_sigsuspend, &none, 8), -EINTR);
	EXPECT_EQ(mask_now(), BIT_OF(SIGUSR1));
	EXPECT_EQ(last_context.mask, BIT_OF(SIGUSR1));
	set_handler(SIGUSR1, SIG_IGN, 0, 0);
	set_mask(SIG_SETMASK, 0);
	kill((int)pid, SIGKILL);
	kill((int)child, SIGKILL);
	wait4((int)pid, NULL, 0);
	wait4((int)child, NULL, 0);
	EXPECT(calls >= 7);
	close(fds[0]);
	close(fds[1]);
}

static int restart_fd;

static void write_third(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	if (calls == 3)
		ignore_result(write(restart_fd, "x", 1));
}

static void restarts(void)
{
	int fds[2];
	char c = 0;
	long pid;

	pipe(fds);
	restart_fd = fds[1];
	reset();
	set_handler(SIGUSR1, write_third, SA_RESTART, 0);
	pid = killer_of_parent(SIGUSR1, 3);
	EXPECT_EQ(read(fds[0], &c, 1), 1);
	EXPECT_EQ(c, 'x');
	EXPECT_EQ(calls, 3);
	while (wait4((int)pid, NULL, 0) == -EINTR)
		;
	close(fds[0]);
	close(fds[1]);
	set_handler(SIGUSR1, SIG_DFL, 0, 0);
}

/* --- Children --- */

static void child_signal(void)
{
	long pid;
	int status;

	reset();
	set_handler(SIGCHLD, note, SA_RESTART, 0);
	pid = fork();
	if (pid == 0)
		exit(7);
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);
	EXPECT_EQ(status, 7 << 8);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 1);
	EXPECT_EQ(last_info.pid, pid);
	EXPECT_EQ(last_info.value & 0xffffffff, 7);
	set_handler(SIGCHLD, SIG_IGN, 0, 0);
	pid = fork();
	if (pid == 0)
		exit(7);
	EXPECT_EQ(wait4((int)pid, &status, 0), -ECHILD);
	set_handler(SIGCHLD, SIG_DFL, 0, 0);
}

static void forked(void)
{
	EXPECT_EQ(pending_now(), 0);
	EXPECT_EQ(mask_now(), BIT_OF(SIGUSR1));
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(calls, 0);
	raise(SIGUSR1);
	EXPECT_EQ(calls, 1);
}

static void fork_inherits(void)
{
	reset();
	set_handler(SIGUSR1, note, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	raise(SIGUSR1);
	EXPECT_EQ(ktap_child(forked), 0);
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(calls, 1);
}

static void do_exec(void)
{
	char *argv[] = { "signals", "--exec", NULL };

	set_handler(SIGUSR1, note, 0, 0);
	set_handler(SIGUSR2, SIG_IGN, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	raise(SIGUSR1);
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
}

static int after_exec(void)
{
	struct action one, two;

	syscall4(SYS_rt_sigaction, SIGUSR1, NULL, &one, 8);
	syscall4(SYS_rt_sigaction, SIGUSR2, NULL, &two, 8);
	return one.handler != SIG_DFL || two.handler != SIG_IGN || pending_now() != BIT_OF(SIGUSR1) ||
	       mask_now() != BIT_OF(SIGUSR1) ? 1 : 33;
}

static void exec_resets(void)
{
	EXPECT_EQ(status_of(do_exec), 33 << 8);
}

/* --- Threads --- */

static volatile int taker_tid, thread_ready, thread_stop;

static void note_tid(int signal)
{
	(void)signal;
	taker_tid = (int)syscall0(SYS_gettid);
	thread_stop = 1;
}

static int spin_thread(void *argument)
{
	(void)argument;
	thread_ready = 1;
	while (!thread_stop)
		__asm__ volatile("pause");
	return 0;
}

/* The process's signal goes to the thread that does not block it, wherever that runs, even in a loop. */
static void thread_takes_it(void)
{
	set_handler(SIGUSR1, note_tid, 0, 0);
	taker_tid = thread_ready = thread_stop = 0;
	thread_start(&threads[0], spin_thread, NULL, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	while (!thread_ready)
		sched_yield();
	kill((int)getpid(), SIGUSR1);
	thread_join(&threads[0]);
	EXPECT_EQ(taker_tid, threads[0].ptid);
	EXPECT_EQ(pending_now(), 0);
	set_mask(SIG_SETMASK, 0);
}

#define STORM	500
static volatile int storm_count;

static void count_storm(int signal)
{
	(void)signal;
	storm_count++;
}

static int storm_thread(void *argument)
{
	int target = (int)(long)argument;

	for (int i = 0; i < STORM; i++)
		while (syscall3(SYS_tgkill, getpid(), target, 34) == -EAGAIN)
			sched_yield();
	return 0;
}

/* Every queued signal is taken once, and the registers survive each. */
static void storm_of_signals(void)
{
	int tid = (int)syscall0(SYS_gettid);
	uint64_t x[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, y[2];

	storm_count = 0;
	set_handler(34, count_storm, 0, 0);
	for (int i = 0; i < 3; i++)
		thread_start(&threads[i], storm_thread, (void *)(long)tid, 0);
	while (storm_count < 3 * STORM) {
		__asm__ volatile("movups %1, %%xmm14\n\tmov $200, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\t"
				 "movups %%xmm14, %0" : "=m"(y) : "m"(x) : "ecx", "xmm14");
		EXPECT(y[0] == x[0] && y[1] == x[1]);
	}
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	EXPECT_EQ(storm_count, 3 * STORM);
}

static const struct ktap_test tests[] = {
	{ "a handler runs, with its mask, and returns", handler_runs },
	{ "flags and arguments of rt_sigaction", flags_count },
	{ "blocked signals wait; standard ones merge, real-time ones do not", blocked_waits },
	{ "an ignored signal is gone", ignored_is_gone },
	{ "rt_sigtimedwait takes a blocked one", waited_for },
	{ "the handler's FPU is initial, the program's comes back", fpu_is_kept },
	{ "the frame is Linux's, and what is written to it counts", frame_is_linux },
	{ "bad frames end in SIGSEGV", bad_frames },
	{ "rt_sigreturn without a frame", no_frame },
	{ "rt_sigreturn changes the program's flags only", flags_are_filtered },
	{ "faults have codes and addresses", faults_have_codes },
	{ "x87 exceptions", x87_faults },
	{ "SIMD exceptions", simd_faults },
	{ "faults can't be blocked or ignored", faults_are_forced },
	{ "the alternate stack", alternate_stack },
	{ "an overflow of the alternate stack is refused", overflow_refused },
	{ "signals end what sleeps", sleeps_end },
	{ "SA_RESTART goes on", restarts },
	{ "SIGCHLD, and children nobody wants", child_signal },
	{ "fork inherits handlers and mask", fork_inherits },
	{ "exec keeps mask, pending and ignored signals", exec_resets },
	{ "the thread that does not block it takes it", thread_takes_it },
	{ "thousands of signals, each taken once", storm_of_signals },
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--exec"))
		return after_exec();
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
