/*
 * fpumuseum - what went wrong in other kernels and needs a situation of its own: control words and
 * pending exceptions that must not reach the kernel, a dead process's registers that must not reach
 * the next one, a load that is promised and not done, protection keys in their initial state, and
 * images that the CPU refuses. tests/museum turns each of those mistakes on and runs this.
 */
#include "ktap.h"

#define MXCSR_ROUND_TO_ZERO	0x7f80		/* all exceptions masked */
#define MXCSR_ALL_UNMASKED	0x6000
#define FCW_ROUND_TO_ZERO	0x0f7f
#define FCW_ALL_UNMASKED	0x0f40
#define TENTH			0x3fb999999999999aL	/* 0.1, rounded to nearest */
#define XFM_SSE			2
#define OSPKE			(1u << 4)	/* CPUID.(7,0):ECX */
#define YIELDS			200
#define SECTIONS_MS		400

static void set_controls(uint32_t mxcsr, uint16_t fcw)
{
	__asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(fcw), "m"(mxcsr));
}

static void default_controls(void)
{
	__asm__ volatile("fninit");
	set_controls(0x1f80, 0x37f);
}

/* Museum entry 9. Round to zero first: that gives a wrong number where unmasking gives a panic. */
static void test_foreign_controls(void)
{
	static const struct { uint32_t mxcsr; uint16_t fcw; } hostile[] = {
		{ MXCSR_ROUND_TO_ZERO, FCW_ROUND_TO_ZERO },
		{ MXCSR_ALL_UNMASKED, FCW_ALL_UNMASKED },
	};

	if (!debug_allowed())
		SKIP("needs debug on the kernel's command line");
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		uint32_t mxcsr;
		uint16_t fcw;
		long sse, x87;

		set_controls(hostile[i].mxcsr, hostile[i].fcw);
		sse = debug(TARRY_DEBUG_TENTH, TARRY_TENTH_SSE);
		sched_yield();
		x87 = debug(TARRY_DEBUG_TENTH, TARRY_TENTH_X87);
		__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(fcw));
		default_controls();
		EXPECT_EQ(sse, TENTH);
		EXPECT_EQ(x87, TENTH);
		EXPECT_EQ(mxcsr & ~0x3fu, hostile[i].mxcsr);
		EXPECT_EQ(fcw, hostile[i].fcw);
	}
}

/* Museum entry 12: a kernel thread has no registers that could be saved. */
static void test_kernel_thread(void)
{
	if (!debug_allowed())
		SKIP("needs debug on the kernel's command line");
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(debug(TARRY_DEBUG_TENTH, TARRY_TENTH_THREAD), TENTH);
}

/* Divides by zero, unmasked: the next x87 instruction that waits raises the exception. */
static inline void make_pending(void)
{
	uint16_t fcw = 0x37b;

	__asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp" : : "m"(fcw));
}

static inline void wait_for_it(void)
{
	__asm__ volatile("fwait");
}

static void pending_kept(void)
{
	make_pending();
	for (int i = 0; i < 20; i++) {
		sched_yield();
		if (debug_allowed() && debug(TARRY_DEBUG_TENTH, i % 3) != TENTH)
			exit(1);
	}
	wait_for_it();
}

static void pending_inherited(void)
{
	int status = -1;
	long pid;

	make_pending();
	pid = fork();
	if (pid == 0) {
		wait_for_it();
		exit(2);
	}
	wait4((int)pid, &status, 0);
	if (status != SIGFPE)
		exit(3);
	wait_for_it();
}

static void pending_exec(void)
{
	char *argv[] = { "fpumuseum", "--fresh", NULL };

	make_pending();
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
}

static void pending_exit(void)
{
	make_pending();
	exit(0);
}

static int fresh(void)
{
	uint16_t status;

	__asm__ volatile("fnstsw %0" : "=m"(status));
	return status != 0;
}

/* Museum entry 33: it comes at the program's own next x87 instruction, never in the kernel. */
static void test_pending(void)
{
	EXPECT_EQ(ktap_child(pending_kept), SIGFPE);
	EXPECT_EQ(ktap_child(pending_inherited), SIGFPE);
	EXPECT_EQ(ktap_child(pending_exec), 0);
	EXPECT_EQ(ktap_child(pending_exit), 0);
}

/* --- Museum entries 5 and 6: processes that die with values in the registers --- */

static uint8_t parents[16][16], dead[16][16], found[16][16];

#define EACH(op)							\
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)			\
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_PARENTS(n)	"movdqu " #n "*16(%[parents]), %%xmm" #n "\n"
#define LOAD_DEAD(n)	"movdqu " #n "*16(%[dead]), %%xmm" #n "\n"
#define STORE(n)	"movdqu %%xmm" #n ", " #n "*16(%[found])\n"

/*
 * A child fills the registers and dies while this process yields; then, by vfork so that this
 * process waits, another looks what it got, in memory that the dead one had. The dead one is not
 * reaped before: that would free more. No vector instruction comes in between, so that with the
 * lazy policy nothing is loaded. Gives the second child's pid, or 0 in it.
 */
static inline __attribute__((always_inline)) long after_a_death(void)
{
	long pid;

	__asm__ volatile(
		EACH(LOAD_PARENTS)
		"movl %[fork], %%eax\n syscall\n"
		"testq %%rax, %%rax\n jnz 1f\n"
		EACH(LOAD_DEAD)
		"movl %[exit], %%eax\n xorl %%edi, %%edi\n syscall\n"
		"1: movl $3, %%ebx\n"
		"2: movl %[yield], %%eax\n syscall\n"
		"decl %%ebx\n jnz 2b\n"
		"movl %[vfork], %%eax\n syscall\n"
		EACH(STORE)
		: "=&a"(pid)
		: [parents] "r"(parents), [dead] "r"(dead), [found] "r"(found),
		  [fork] "i"(SYS_fork), [vfork] "i"(SYS_vfork), [yield] "i"(SYS_sched_yield),
		  [exit] "i"(SYS_exit_group)
		: "rbx", "rcx", "rdi", "r11", "memory", "cc",
		  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return pid;
}

static void compare(const char *who)
{
	for (int i = 0; i < 16; i++)
		if (memcmp(found[i], dead[i], 16) == 0)
			FAIL("%s has the dead process's xmm%d", who, i);
		else if (memcmp(found[i], parents[i], 16) != 0)
			FAIL("%s: xmm%d changed", who, i);
}

static void test_after_a_death(void)
{
	memset(dead, 0xdd, sizeof(dead));
	for (int i = 0; i < 16; i++)
		memset(parents[i], i + 1, 16);
	for (int round = 0; round < 8; round++) {
		int status = -1;
		long pid = after_a_death();

		compare(pid ? "the parent" : "the child");
		if (pid == 0)
			exit(ktap_failed != 0);
		EXPECT_EQ(wait4((int)pid, &status, 0), pid);
		EXPECT_EQ(status, 0);
		wait4(-1, NULL, 0);
	}
}

/* --- Museum entries 3 and 8: registers while the kernel uses them and time slices end --- */

/* A thousand kernel sections between filling the registers and looking at them. */
static void many_sections(void)
{
	long turns = 1000;

	__asm__ volatile(
		EACH(LOAD_PARENTS)
		"1: movl %[debug], %%eax\n movl %[tenth], %%edi\n xorl %%esi, %%esi\n syscall\n"
		"decq %[turns]\n jnz 1b\n"
		EACH(STORE)
		: [turns] "+r"(turns)
		: [parents] "r"(parents), [found] "r"(found), [debug] "i"(TARRY_SYS_DEBUG),
		  [tenth] "i"(TARRY_DEBUG_TENTH)
		: "rax", "rcx", "rdi", "rsi", "r11", "memory", "cc",
		  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void sections_in_slices(int who)
{
	uint64_t end = now_ns() + SECTIONS_MS * 1000000UL;

	ktap_failed = 0;
	memset(dead, 0xdd, sizeof(dead));
	for (int i = 0; i < 16; i++)
		memset(parents[i], who * 16 + i, 16);
	while (now_ns() < end && !ktap_failed) {
		many_sections();
		compare("a process in many sections");
	}
	exit(ktap_failed != 0);
}

static void test_sections(void)
{
	int status;

	if (!debug_allowed())
		SKIP("needs debug on the kernel's command line");
	for (int who = 0; who < 3; who++)
		if (fork() == 0)
			sections_in_slices(who);
	for (int who = 0; who < 3; who++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

/* A child that ends at once; what this process has in the registers meanwhile is saved for it. */
static void make_child(void)
{
	__asm__ volatile(
		EACH(LOAD_PARENTS)
		"movl %[vfork], %%eax\n syscall\n"
		"testq %%rax, %%rax\n jnz 1f\n"
		"movl %[exit], %%eax\n xorl %%edi, %%edi\n syscall\n"
		"1:\n"
		EACH(STORE)
		:
		: [parents] "r"(parents), [found] "r"(found), [vfork] "i"(SYS_vfork),
		  [exit] "i"(SYS_exit_group)
		: "rax", "rcx", "rdi", "r11", "memory", "cc",
		  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	wait4(-1, NULL, 0);
}

/* Interrupts that come while a parent's registers are saved must not use them. */
static void test_many_forks(void)
{
	uint64_t end = now_ns() + SECTIONS_MS * 1000000UL;

	memset(dead, 0xdd, sizeof(dead));
	for (int i = 0; i < 16; i++)
		memset(parents[i], i + 1, 16);
	while (now_ns() < end && !ktap_failed) {
		make_child();
		compare("a parent of many");
	}
}

/* --- Museum entry 1: a load is done before user code runs, not promised --- */

static void yields(void)
{
	for (int i = 0; i < YIELDS; i++)
		sched_yield();
}

/*
 * Two processes that take turns and execute no vector instruction: each finds its own values in the
 * registers all the same, so each turn is a load. Where the lazy policy is chosen, traps tell.
 */
static void test_loads_are_done(void)
{
	struct tarry_stats before, after;
	uint8_t value[16] = { 1 };
	long pid;

	if (!on_tarry())
		SKIP("only Tarry counts loads");
	pid = fork();
	__asm__ volatile("movdqu %0, %%xmm7" : : "m"(value) : "xmm7");
	if (pid == 0) {
		yields();
		exit(0);
	}
	stats(&before, sizeof(before));
	yields();
	stats(&after, sizeof(after));
	wait4((int)pid, NULL, 0);
	if (after.fpu_traps)
		SKIP("the lazy policy promises loads");
	if (after.fpu_loads - before.fpu_loads < YIELDS)
		FAIL("%d turns of two processes, but %lu loads", 2 * YIELDS,
		     after.fpu_loads - before.fpu_loads);
}

/* --- Museum entry 26: PKRU 0 is its initial state, and not the kernel's default --- */

static uint32_t read_pkru(void)
{
	uint32_t pkru, high;

	__asm__ volatile("rdpkru" : "=a"(pkru), "=d"(high) : "c"(0));
	return pkru;
}

static void check_open_pkru(void)
{
	__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0) : "memory");
	for (int i = 0; i < 20; i++) {
		sleep_ms(1);
		EXPECT_EQ(read_pkru(), 0);
	}
}

static void test_open_pkru(void)
{
	if (!(cpuid(7, 0).ecx & OSPKE))
		SKIP("no protection keys here");
	EXPECT_EQ(ktap_child(check_open_pkru), 0);
}

/* --- Museum entry 32: images and control words that the CPU refuses --- */

static uint8_t image[4096] __attribute__((aligned(64)));

/* QEMU's XRSTOR does not look at CR0.TS, so the lazy policy gets its trap first. */
static void load_image(uint32_t mxcsr, uint64_t xstate_bv)
{
	__asm__ volatile("movaps %xmm0, %xmm0");
	memset(image, 0, sizeof(image));
	memcpy(image + 24, &mxcsr, sizeof(mxcsr));
	memcpy(image + 512, &xstate_bv, sizeof(xstate_bv));
	__asm__ volatile("xrstor64 (%0)" : : "r"(image), "a"(XFM_SSE), "d"(0) : "memory");
}

/* QEMU lets the instruction pass; then it is the kernel's own load that must be refused. */
static void have_another_run(void)
{
	long pid = fork();

	__asm__ volatile("movaps %xmm0, %xmm0");	/* the lazy policy loads now */
	if (pid == 0)
		exit(0);
	wait4((int)pid, NULL, 0);
	__asm__ volatile("movaps %xmm0, %xmm0");
}

static void reserved_mxcsr(void)
{
	load_image(0x80001f80, XFM_SSE);
	have_another_run();
}

static void reserved_mxcsr_by_ldmxcsr(void)
{
	set_controls(0x80001f80, 0x37f);
	have_another_run();
}

static void unknown_component(void)
{
	load_image(0x1f80, 1ul << 62);
}

/* The program is killed; the kernel goes on. */
static void test_refused(void)
{
	if (!(cpuid(1, 0).ecx >> 27 & 1))
		SKIP("no XSAVE here");
	EXPECT_EQ(ktap_child(reserved_mxcsr), SIGSEGV);
	EXPECT_EQ(ktap_child(reserved_mxcsr_by_ldmxcsr), SIGSEGV);
	EXPECT_EQ(ktap_child(unknown_component), SIGSEGV);
}

static const struct ktap_test tests[] = {
	{ "the user's control words in a kernel section", test_foreign_controls },
	{ "a kernel section in a kernel thread", test_kernel_thread },
	{ "registers after a death", test_after_a_death },
	{ "pending x87 exceptions", test_pending },
	{ "registers across kernel sections", test_sections },
	{ "registers across many forks", test_many_forks },
	{ "loads are done", test_loads_are_done },
	{ "PKRU in its initial state", test_open_pkru },
	{ "images that the CPU refuses", test_refused },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--fresh") == 0)
		return fresh();
	stay_on_cpus(ONE_CPU);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
