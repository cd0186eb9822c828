/*
 * regs - what user code finds in the registers and what it may do with the processor.
 * Catches: registers that leak kernel values or are not kept across a call, flags that
 * follow user code into the kernel (direction, alignment, nested task, trap), interrupt
 * gates open to everybody, privileged instructions that work, ways into the kernel that
 * nobody prepared (SYSENTER, int 0x80, far returns).
 */
#include "ktap.h"

extern uint64_t entry_registers[19];

static const char *const names[] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9",
				     "r10", "r11", "r12", "r13", "r14", "r15", "rsp", "rflags",
				     "cs", "ss" };
enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, RSP, RFLAGS };

/* call_kernel(in, out): load registers 0..14 and RFLAGS, syscall, store them all. */
void call_kernel(const uint64_t in[17], uint64_t out[17]);
__asm__(".text\n.global call_kernel\ncall_kernel:\n"
	"pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"pushq %rsi\n"
	"pushq 128(%rdi)\n"
	"movq 0(%rdi), %rax;   movq 8(%rdi), %rbx;    movq 24(%rdi), %rdx\n"
	"movq 32(%rdi), %rsi;  movq 48(%rdi), %rbp;   movq 56(%rdi), %r8\n"
	"movq 64(%rdi), %r9;   movq 72(%rdi), %r10;   movq 88(%rdi), %r12\n"
	"movq 96(%rdi), %r13;  movq 104(%rdi), %r14;  movq 112(%rdi), %r15\n"
	"movq 40(%rdi), %rdi\n"
	"popfq\n"
	"syscall\n"
	"after_syscall:\n"
	"pushfq\n"
	"cld\n"
	"xchgq %rdi, 8(%rsp)\n"			/* rdi = out */
	"movq %rax, 0(%rdi);   movq %rbx, 8(%rdi);    movq %rcx, 16(%rdi)\n"
	"movq %rdx, 24(%rdi);  movq %rsi, 32(%rdi);   movq %rbp, 48(%rdi)\n"
	"movq %r8, 56(%rdi);   movq %r9, 64(%rdi);    movq %r10, 72(%rdi)\n"
	"movq %r11, 80(%rdi);  movq %r12, 88(%rdi);   movq %r13, 96(%rdi)\n"
	"movq %r14, 104(%rdi); movq %r15, 112(%rdi)\n"
	"popq 128(%rdi)\n"
	"popq 40(%rdi)\n"
	"pushq $0x202; popfq\n"
	"popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"ret\n");
extern char after_syscall[];

/* All general registers 0, RFLAGS 0x202, user selectors: what Linux's ABI promises. */
static void test_entry(void)
{
	for (int i = RAX; i <= R15; i++)
		if (entry_registers[i] != 0)
			FAIL("%s is 0x%lx at entry", names[i], entry_registers[i]);
	EXPECT_EQ(entry_registers[RSP] & 15, 0);
	EXPECT_EQ(entry_registers[16], 0x202);
	EXPECT_EQ(entry_registers[17], 0x33);
	EXPECT_EQ(entry_registers[18], 0x2b);
}

static void check_call(uint64_t nr, uint64_t a, uint64_t b, uint64_t flags)
{
	uint64_t in[17], out[17];

	for (uint64_t i = 0; i < 17; i++)
		in[i] = 0x1111111111111111 * (i % 13 + 1) + i;
	in[RAX] = nr;
	in[RDI] = a;
	in[RSI] = b;
	in[RFLAGS] = flags;
	call_kernel(in, out);
	for (int i = RBX; i <= R15; i++)
		if (i != RCX && i != R11 && in[i] != out[i])
			FAIL("call %lu: %s is 0x%lx, was 0x%lx", nr, names[i], out[i], in[i]);
	EXPECT_EQ(out[RCX], after_syscall);
	EXPECT_EQ(out[R11], flags);
	EXPECT_EQ(out[RFLAGS], flags);
}

static void test_preserved(void)
{
	struct timespec t = { 0, 3000000 };

	check_call(SYS_getpid, 0, 0, 0x202);
	check_call(0x7ff, 0, 0, 0x202);
	check_call(SYS_sched_yield, 0, 0, 0x202);
	check_call(SYS_nanosleep, (uint64_t)&t, 0, 0x202);	/* sleeps: another way out */
	check_call(SYS_close, 9999, 0, 0x202);
	check_call(UINT64_MAX, 0, 0, 0x202);
	check_call(1UL << 32 | SYS_getpid, 0, 0, 0x202);
	check_call(1UL << 63, 0, 0, 0x202);
}

enum { FLAG_CF = 1, FLAG_TF = 0x100, FLAG_DF = 0x400, FLAG_NT = 0x4000, FLAG_AC = 0x40000 };

static void with_direction(void)
{
	struct timespec t = { 0, 1000000 };

	check_call(SYS_getpid, 0, 0, 0x202 | FLAG_DF);
	check_call(SYS_nanosleep, (uint64_t)&t, 0, 0x202 | FLAG_DF);
}

static void with_nested(void)
{
	struct timespec t = { 0, 1000000 };

	check_call(SYS_getpid, 0, 0, 0x202 | FLAG_NT);
	check_call(SYS_nanosleep, (uint64_t)&t, 0, 0x202 | FLAG_NT);
}

static void with_arithmetic(void)
{
	check_call(SYS_getpid, 0, 0, 0x202 | FLAG_CF | 0x8d4);
}

/* With AC left set inside the kernel, SMAP would be off: a kernel pointer, too. */
static void with_alignment(void)
{
	uint64_t in[17] = { [RAX] = SYS_clock_gettime, [RDI] = CLOCK_MONOTONIC,
			    [RSI] = 0xffffffff80000000, [RFLAGS] = 0x202 | FLAG_AC }, out[17];

	check_call(SYS_getpid, 0, 0, 0x202 | FLAG_AC);
	call_kernel(in, out);
	EXPECT_EQ(out[RAX], -EFAULT);
}

static void with_trap(void)
{
	check_call(SYS_getpid, 0, 0, 0x202 | FLAG_TF);
}

static void test_flags(void)
{
	EXPECT_EQ(ktap_child(with_direction), 0);
	EXPECT_EQ(ktap_child(with_nested), 0);
	EXPECT_EQ(ktap_child(with_arithmetic), 0);
	EXPECT_EQ(ktap_child(with_alignment), 0);
	EXPECT_EQ(ktap_child(with_trap), SIGTRAP);
}

/* Only the flags that are the user's may stick: not IOPL, VM, VIF, VIP, nor IF cleared. */
static void test_popf(void)
{
	uint64_t wanted = 0x202 | 0x3000 | 1 << 19 | 1 << 20, flags;

	__asm__ volatile("pushq %1; popfq; pushfq; popq %0; pushq $0x202; popfq"
			 : "=r"(flags) : "r"(wanted & ~0x200UL) : "memory", "cc");
	EXPECT_EQ(flags, 0x202);
}

static char *code;			/* a page for instructions made at run time */

static void run_code(void)
{
	((void (*)(void))code)();
}

static int run_bytes(const char *bytes, size_t n)
{
	code = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	memcpy(code, bytes, n);
	code[n] = (char)0xc3;
	mprotect(code, PAGE_SIZE, PROT_READ | PROT_EXEC);
	n = (size_t)ktap_child(run_code);
	munmap(code, PAGE_SIZE);
	return (int)n;
}

/*
 * Every vector by software: only the gates of breakpoint, overflow and Linux's 32-bit system calls are open. An overflow
 * is SIGSEGV, too; of the calls there is none.
 */
static void test_int_n(void)
{
	for (int n = 0; n < 256; n++) {
		char bytes[] = { (char)0xcd, (char)n };
		int status = run_bytes(bytes, 2);

		if (n == 0x80 && !on_tarry())
			continue;
		if (status != (n == 3 ? SIGTRAP : n == 0x80 ? 0 : SIGSEGV))
			FAIL("int 0x%x: status 0x%x", (unsigned int)n, (unsigned int)status);
	}
}

/* A 32-bit system call that is not there answers ENOSYS; all other registers stay as they are. */
static void test_int_80(void)
{
	uint64_t rax = 1000, rbx = 0x1122334455667788, r8 = 0x99aabbccddeeff00, r11 = 0x1234567890abcdef;

	__asm__ volatile("mov %2, %%r8\n\tmov %3, %%r11\n\tint $0x80\n\tmov %%r8, %2\n\tmov %%r11, %3"
			 : "+a"(rax), "+b"(rbx), "+d"(r8), "+S"(r11) : : "r8", "r11", "memory");
	EXPECT_EQ(rax, (uint64_t)-ENOSYS);
	EXPECT_EQ(rbx, 0x1122334455667788);
	EXPECT_EQ(r8, 0x99aabbccddeeff00);
	EXPECT_EQ(r11, 0x1234567890abcdef);
}

#define CODE(text)	text, sizeof(text) - 1

static const struct instruction {
	const char *name, *bytes;
	size_t n;
	int signal;
} privileged[] = {
	{ "hlt", CODE("\xf4"), SIGSEGV }, { "cli", CODE("\xfa"), SIGSEGV },
	{ "sti", CODE("\xfb"), SIGSEGV }, { "in", CODE("\xe4\x60"), SIGSEGV },
	{ "out to the debug port", CODE("\xe6\xf4"), SIGSEGV },
	{ "insb", CODE("\x66\xba\xf8\x03\x6c"), SIGSEGV },
	{ "clts", CODE("\x0f\x06"), SIGSEGV }, { "invd", CODE("\x0f\x08"), SIGSEGV },
	{ "wbinvd", CODE("\x0f\x09"), SIGSEGV }, { "rdmsr", CODE("\x0f\x32"), SIGSEGV },
	{ "wrmsr", CODE("\x0f\x30"), SIGSEGV },
	{ "read cr0", CODE("\x0f\x20\xc0"), SIGSEGV },
	{ "read cr3", CODE("\x0f\x20\xd8"), SIGSEGV },
	{ "write cr0", CODE("\x0f\x22\xc0"), SIGSEGV },
	{ "write cr4", CODE("\x0f\x22\xe0"), SIGSEGV },
	{ "write dr7", CODE("\x0f\x23\xf8"), SIGSEGV },
	{ "read dr0", CODE("\x0f\x21\xc0"), SIGSEGV },
	{ "lgdt", CODE("\x0f\x01\x14\x24"), SIGSEGV },
	{ "lidt", CODE("\x0f\x01\x1c\x24"), SIGSEGV },
	{ "lldt", CODE("\x31\xc0\x0f\x00\xd0"), SIGSEGV },
	{ "ltr", CODE("\x31\xc0\x0f\x00\xd8"), SIGSEGV },
	{ "lmsw", CODE("\x0f\x01\xf0"), SIGSEGV },
	{ "invlpg", CODE("\x0f\x01\x3c\x24"), SIGSEGV },
	{ "swapgs", CODE("\x0f\x01\xf8"), SIGSEGV },
	{ "sysretq", CODE("\x48\x0f\x07"), SIGSEGV },
	{ "sysexit", CODE("\x48\x0f\x35"), SIGSEGV },
	{ "xsetbv", CODE("\x31\xc9\x0f\x01\xd1"), SIGSEGV },
	{ "null into ss", CODE("\x31\xc0\x8e\xd0"), SIGSEGV },
	{ "tss into ds", CODE("\xb8\x40\x00\x00\x00\x8e\xd8"), SIGSEGV },
	{ "selector out of bounds", CODE("\xb8\xf8\xff\x00\x00\x8e\xd8"), SIGSEGV },
	{ "far return to ring 0", CODE("\x6a\x10\x6a\x00\x48\xcb"), SIGSEGV },
	{ "iretq to ring 0", CODE("\x6a\x18\x54\x9c\x6a\x10\x6a\x00\x48\xcf"), SIGSEGV },
	{ "iretq to zeros", CODE("\x6a\x00\x6a\x00\x6a\x00\x6a\x00\x6a\x00\x48\xcf"), SIGSEGV },
	{ "ud2", CODE("\x0f\x0b"), SIGILL }, { "ud1", CODE("\x0f\xb9\xc0"), SIGILL },
	{ "stac", CODE("\x0f\x01\xcb"), SIGILL }, { "clac", CODE("\x0f\x01\xca"), SIGILL },
	{ "a prefix too many", CODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
				    "\x90"), SIGSEGV },
	{ "push es (not in 64-bit mode)", CODE("\x06"), SIGILL },
	{ "lock on a register", CODE("\xf0\x01\xc0"), SIGILL },
};

/* SIGILL and SIGSEGV may stand for each other where emulators differ; alive may not be. */
static void test_privileged(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(privileged); i++) {
		const struct instruction *p = &privileged[i];
		int status = run_bytes(p->bytes, p->n);

		if (status != p->signal && status != SIGILL)
			FAIL("%s: status 0x%x, not signal %d", p->name, (unsigned int)status,
			     p->signal);
	}
}

static void test_allowed(void)
{
	static const struct instruction allowed[] = {
		{ "rdtsc", CODE("\x0f\x31"), 0 }, { "pause", CODE("\xf3\x90"), 0 },
		{ "cpuid", CODE("\x53\x0f\xa2\x5b"), 0 }, { "lfence", CODE("\x0f\xae\xe8"), 0 },
		{ "null into ds", CODE("\x31\xc0\x8e\xd8"), 0 },
		{ "null into gs, then a call", CODE("\x31\xc0\x8e\xe8\xb0\x27\x0f\x05"), 0 },
		{ "null into fs, then a call", CODE("\x31\xc0\x8e\xe0\xb0\x27\x0f\x05"), 0 },
		{ "user data into gs, then a call",
		  CODE("\xb8\x2b\x00\x00\x00\x8e\xe8\xb0\x18\x0f\x05"), 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (run_bytes(allowed[i].bytes, allowed[i].n) != 0)
			FAIL("%s", allowed[i].name);
}

/* SYSENTER has no handler here: a signal, never a jump to some address. */
static void test_sysenter(void)
{
	int status = run_bytes("\x0f\x34", 2);

	EXPECT(status == SIGSEGV || status == SIGILL || !on_tarry());
}

static void test_umip(void)
{
	static const struct instruction reads[] = {
		{ "sgdt", CODE("\x0f\x01\x44\x24\xe0"), SIGSEGV },
		{ "sidt", CODE("\x0f\x01\x4c\x24\xe0"), SIGSEGV },
		{ "sldt", CODE("\x0f\x00\xc0"), SIGSEGV },
		{ "str", CODE("\x0f\x00\xc8"), SIGSEGV },
		{ "smsw", CODE("\x0f\x01\xe0"), SIGSEGV },
	};

	if (cpuid(0, 0).eax < 7 || !(cpuid(7, 0).ecx >> 2 & 1))
		SKIP("no UMIP in this processor (CPUID 7 ECX bit 2)");
	if (!on_tarry())
		SKIP("Linux emulates them");
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		int status = run_bytes(reads[i].bytes, reads[i].n);

		if (status != SIGSEGV)
			FAIL("%s: status 0x%x", reads[i].name, (unsigned int)status);
	}
}

/* SYSCALL as the last instruction of user space: the return address is beyond it. */
static void call_at_the_top(void)
{
	char *top = (char *)0x7fffffffe000;

	if (mmap(top, PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (long)top)
		exit(77);
	memcpy(top + PAGE_SIZE - 2, "\x0f\x05", 2);
	mprotect(top, PAGE_SIZE, PROT_READ | PROT_EXEC);
	__asm__ volatile("jmp *%0" : : "r"(top + PAGE_SIZE - 2), "a"(SYS_getpid));
}

static void test_return_address(void)
{
	int status = ktap_child(call_at_the_top);

	if (status == 77 << 8)
		SKIP("the last page of user space is taken");
	EXPECT_EQ(status, SIGSEGV);
}

/* A call without any usable stack, or with one in the kernel, is a call all the same. */
static void call_without_stack(void)
{
	__asm__ volatile("movq $-4096, %%rsp; movl %0, %%eax; syscall;"
			 "movabsq $0x8000000000000000, %%rsp; movl %0, %%eax; syscall;"
			 "xorl %%esp, %%esp; movl %1, %%eax; movl $9, %%edi; syscall"
			 : : "i"(SYS_sched_yield), "i"(SYS_exit_group) : "rax", "memory");
}

static void test_without_stack(void)
{
	EXPECT_EQ(ktap_child(call_without_stack), 9 << 8);
}

static void test_bases(void)
{
	static const uint64_t bad[] = { 0xffff800000000000, 0xffffffff80000000, 0x8000000000000000,
					0x800000000000 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT(syscall2(SYS_arch_prctl, ARCH_SET_FS, bad[i]) < 0);
		EXPECT(syscall2(SYS_arch_prctl, ARCH_SET_GS, bad[i]) < 0);
	}
}

static const struct ktap_test tests[] = {
	{ "registers at entry", test_entry }, { "registers across calls", test_preserved },
	{ "flags across calls", test_flags }, { "flags by popf", test_popf },
	{ "int 0 to 255", test_int_n }, { "int 0x80 answers", test_int_80 }, { "privileged instructions", test_privileged },
	{ "allowed instructions", test_allowed }, { "sysenter", test_sysenter },
	{ "umip", test_umip }, { "return address at the top", test_return_address },
	{ "calls without a stack", test_without_stack }, { "FS and GS bases", test_bases },
};

KTAP_MAIN(tests)
