/*
 * sigframe - what a signal does to the registers, and the frame that holds them, as on Linux. Catches: a handler that
 * finds the interrupted program's registers or leaves its own behind; a frame that is not Linux's to the byte; a
 * sigreturn that believes what it reads; a frame written beyond the alternate stack.
 */
#include "signals.h"

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
	case 13: uc->ss = 0xa55f; break;		/* in a local table that is not there */
	}
}
#define SPOILERS 14

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

/* Into 32-bit code, which needs its segments and may not get into the kernel by SYSCALL, and out by a fault. */
static struct context at_fault;
static uint64_t code32;
static uint8_t stack32[256];

static void enter_code32(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->cs = 0x23;
	uc->rip = code32;
	uc->rsp = (uint64_t)stack32 + sizeof(stack32);
}

static void leave_code32(int signal, struct info *info, struct context *uc)
{
	at_fault = *uc;
	note(signal, info, uc);
	uc->cs = 0x33;
	uc->rip = last_context.r12;
	uc->rsp = last_context.r13;
}

/* Faults at code and goes on behind. R12 and R13 are no registers of 32-bit code. */
static void run32(const char *code)
{
	code32 = (uint64_t)code;
	set_handler(SIGUSR1, enter_code32, 0, 0);
	set_handler(SIGILL, leave_code32, 0, 0);
	reset();
	__asm__ volatile("lea 1f(%%rip), %%r12\n\tmov %%rsp, %%r13\n\tsyscall\n\t1:"
			 : : "a"((long)SYS_kill), "D"(getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "r12", "r13", "rbx", "memory");
	EXPECT_EQ(calls, 2);
	EXPECT_EQ(last_signal, SIGILL);
	EXPECT_EQ(at_fault.cs, 0x23);
	EXPECT_EQ(at_fault.ss, 0x2b);
}

__asm__(".text\npush_and_trap: .byte 0x53, 0x0f, 0x0b\nsyscall32: .byte 0x0f, 0x05, 0x0f, 0x0b\n");	/* push ebx */
extern const char push_and_trap[], syscall32[];

static void code_of_32_bits(void)
{
	run32(push_and_trap);
	EXPECT_EQ(at_fault.rip, push_and_trap + 1);
	EXPECT_EQ(at_fault.rsp, (uint64_t)stack32 + sizeof(stack32) - 4);
	if (on_tarry()) { /* Linux has 32-bit system calls */
		run32(syscall32);
		if (at_fault.rip != (uint64_t)syscall32) { /* Intel's CPUs refuse it */
			EXPECT_EQ(at_fault.rip, syscall32 + 2);
			EXPECT_EQ((int32_t)at_fault.rax, -ENOSYS);
		}
	}
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

static const struct ktap_test tests[] = {
	{ "the handler's FPU is initial, the program's comes back", fpu_is_kept },
	{ "the frame is Linux's, and what is written to it counts", frame_is_linux },
	{ "bad frames end in SIGSEGV", bad_frames },
	{ "rt_sigreturn without a frame", no_frame },
	{ "rt_sigreturn to 32-bit code", code_of_32_bits },
	{ "rt_sigreturn changes the program's flags only", flags_are_filtered },
	{ "the alternate stack", alternate_stack },
	{ "an overflow of the alternate stack is refused", overflow_refused },
};

int main(void)
{
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
