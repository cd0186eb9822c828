/*
 * fpu - every process keeps its own registers. Several fill x87, SSE and AVX registers
 * with a pattern of their own, then yield or spin through many switches inside one asm
 * block and compare. Catches: a register that another process can see or change, a high
 * half of a YMM register that is not saved, control words that are lost or come up wrong
 * in a new program, and a child that does not inherit them.
 */
#include "ktap.h"

#define PROCESSES	5
#define YIELDS		400
#define SPINS		60000000UL	/* instructions, long enough for some ticks */

struct registers {
	uint8_t ymm[16][32];
	uint64_t st[8];				/* integers, as fild and fistp see them */
	uint32_t mxcsr;
	uint16_t fcw;
} __attribute__((aligned(64)));

static struct registers want, got;
static int avx;

static void detect(void)
{
	struct cpuid c = cpuid(1, 0);
	uint32_t low, high;

	if (!(c.ecx >> 27 & 1))			/* OSXSAVE */
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	avx = (c.ecx >> 28 & 1) && (low & 6) == 6;
}

static void make_pattern(struct registers *r, uint32_t seed)
{
	uint8_t *p = &r->ymm[0][0];

	for (size_t i = 0; i < sizeof(r->ymm); i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
	for (int i = 0; i < 8; i++)
		r->st[i] = (uint64_t)(seed + (uint32_t)i * 77777) << 16;
	r->mxcsr = 0x1f80 | (seed & 3) << 13;	/* rounding, all masked */
	r->fcw = (uint16_t)(0x37f | (seed >> 4 & 3) << 10);
}

#define EACH(op, r)							\
	op(0, r) op(1, r) op(2, r) op(3, r) op(4, r) op(5, r)		\
	op(6, r) op(7, r) op(8, r) op(9, r) op(10, r) op(11, r)	\
	op(12, r) op(13, r) op(14, r) op(15, r)
#define LOAD_YMM(n, r)	"vmovdqu " #n "*32(" r "), %%ymm" #n "\n"
#define STORE_YMM(n, r)	"vmovdqu %%ymm" #n ", " #n "*32(" r ")\n"
#define LOAD_XMM(n, r)	"movdqu " #n "*32(" r "), %%xmm" #n "\n"
#define STORE_XMM(n, r)	"movdqu %%xmm" #n ", " #n "*32(" r ")\n"

#define LOAD_X87							\
	"fninit\n"							\
	"fldcw 580(%[in])\n"						\
	"fildq 568(%[in])\n fildq 560(%[in])\n fildq 552(%[in])\n"	\
	"fildq 544(%[in])\n fildq 536(%[in])\n fildq 528(%[in])\n"	\
	"fildq 520(%[in])\n fildq 512(%[in])\n"				\
	"ldmxcsr 576(%[in])\n"
#define STORE_X87							\
	"fnstcw 580(%[out])\n"						\
	"stmxcsr 576(%[out])\n"						\
	"fistpq 512(%[out])\n fistpq 520(%[out])\n fistpq 528(%[out])\n" \
	"fistpq 536(%[out])\n fistpq 544(%[out])\n fistpq 552(%[out])\n" \
	"fistpq 560(%[out])\n fistpq 568(%[out])\n"

_Static_assert(offsetof(struct registers, st) == 512, "the asm knows the offsets");
_Static_assert(offsetof(struct registers, mxcsr) == 576, "the asm knows the offsets");
_Static_assert(offsetof(struct registers, fcw) == 580, "the asm knows the offsets");

/* `turns` raw calls of number `nr`, or of nothing if nr is negative: then it just spins. */
#define TURN								\
	"1: testq %[nr], %[nr]\n"					\
	"js 2f\n"							\
	"movq %[nr], %%rax\n"						\
	"syscall\n"							\
	"2: decq %[turns]\n"						\
	"jnz 1b\n"

#define KEEP(load, store)						\
	__asm__ volatile(LOAD_X87 EACH(load, "%[in]")		\
			 TURN						\
			 EACH(store, "%[out]") STORE_X87		\
			 : [turns] "+r"(turns)				\
			 : [in] "r"(&want), [out] "r"(&got), [nr] "r"(nr) \
			 : "rax", "rcx", "r11", "memory", "cc",		\
			   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

static void default_controls(void)
{
	uint32_t mxcsr = 0x1f80;

	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

static void keep(long nr, uint64_t turns)
{
	if (avx)
		KEEP(LOAD_YMM, STORE_YMM);
	else
		KEEP(LOAD_XMM, STORE_XMM);
	if (avx)
		__asm__ volatile("vzeroupper");
	default_controls();
}

static void compare(uint32_t who)
{
	size_t width = avx ? 32 : 16;

	for (int i = 0; i < 16; i++)
		if (memcmp(want.ymm[i], got.ymm[i], width) != 0)
			FAIL("process %u: %s%d changed", who, avx ? "ymm" : "xmm", i);
	for (int i = 0; i < 8; i++)
		if (want.st[i] != got.st[i])
			FAIL("process %u: st%d is %lx, not %lx", who, i, got.st[i], want.st[i]);
	if (want.mxcsr != got.mxcsr)
		FAIL("process %u: MXCSR is %x, not %x", who, got.mxcsr, want.mxcsr);
	if (want.fcw != got.fcw)
		FAIL("process %u: FCW is %x, not %x", who, got.fcw, want.fcw);
}

static void many(long nr, uint64_t turns)
{
	int status;

	for (uint32_t i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			ktap_failed = 0;
			for (uint32_t round = 0; round < 4; round++) {
				make_pattern(&want, 12345 * (i + 1) + round);
				keep(nr, turns);
				compare(i);
			}
			exit(ktap_failed != 0);
		}
	for (int i = 0; i < PROCESSES; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static void test_yield(void)
{
	many(SYS_sched_yield, YIELDS);
}

static void test_preempted(void)
{
	many(-1, SPINS / PROCESSES / 4);
}

/* System calls that do not switch must not touch the registers either. */
static void test_calls(void)
{
	static const long calls[] = { SYS_getpid, SYS_getppid, 0x7ff };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		make_pattern(&want, (uint32_t)i + 99);
		keep(calls[i], 50);
		compare(0);
	}
}

static volatile double half = 0.5;

/* The asm block forks: parent and child both go on with the same registers. */
static void test_fork(void)
{
	int status = -1;
	long pid = getpid();

	make_pattern(&want, 4711);
	keep(SYS_fork, 1);
	compare(getpid() == pid ? 0 : 1);
	if (getpid() != pid)
		exit(ktap_failed != 0);
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 0);
}

static int check_fresh(void)
{
	uint32_t mxcsr;
	uint16_t fcw, fsw;
	static uint8_t regs[16][32];

	__asm__ volatile("stmxcsr %0; fnstcw %1; fnstsw %2" : "=m"(mxcsr), "=m"(fcw), "=m"(fsw));
	if (avx)
		__asm__ volatile(EACH(STORE_YMM, "%0") : : "r"(regs) : "memory");
	else
		__asm__ volatile(EACH(STORE_XMM, "%0") : : "r"(regs) : "memory");
	EXPECT_EQ(mxcsr, 0x1f80);
	EXPECT_EQ(fcw, 0x37f);
	EXPECT_EQ(fsw, 0);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 32; j++)
			if (regs[i][j] && !(i < 2 && j < 16))	/* start and main used two */
				FAIL("register %d has old bytes", i);
	return ktap_failed != 0;
}

/* Catches: a new program that starts with its predecessor's registers. */
static void test_exec(void)
{
	char *argv[] = { "fpu", "--fresh", NULL };
	int status = -1;
	long pid = fork();

	if (pid == 0) {
		uint32_t mxcsr = 0x7f80;

		make_pattern(&want, 31337);
		if (avx)
			__asm__ volatile(EACH(LOAD_YMM, "%0") : : "r"(&want) : "memory");
		__asm__ volatile("ldmxcsr %0; fldpi; fldcw %1" : : "m"(mxcsr), "m"(want.fcw));
		execve((const char *)getauxval(AT_EXECFN), argv, environ);
		exit(99);
	}
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
}

static double series(unsigned int seed, unsigned int n)
{
	double sum = 0;

	for (unsigned int k = 1; k < n; k++)
		sum += half / (k * (seed + 1.25));
	return sum;
}

/* Ordinary compiled code: each process must get the bits it gets alone. */
static void test_compute(void)
{
	int status;

	for (unsigned int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			double first = series(i, 150000);
			int same = 1;

			for (int round = 0; round < 3; round++) {
				double again = series(i, 150000);

				same &= memcmp(&first, &again, sizeof(first)) == 0;
			}
			exit(!same);
		}
	for (int i = 0; i < PROCESSES; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static const struct ktap_test tests[] = {
	{ "registers across yields", test_yield },
	{ "registers across preemption", test_preempted },
	{ "registers across calls", test_calls }, { "registers across fork", test_fork },
	{ "fresh registers after exec", test_exec }, { "floating-point sums", test_compute },
};

int main(int argc, char **argv)
{
	detect();
	if (argc > 1 && strcmp(argv[1], "--fresh") == 0)
		return check_fresh();
	printf("# %s\n", avx ? "x87, SSE and AVX" : "x87 and SSE, no AVX here");
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
