/*
 * fpu - every process keeps its own registers. Several fill x87, SSE and AVX registers
 * with a pattern of their own, then yield or spin through many switches inside one asm
 * block and compare. Catches: a register that another process can see or change, a high
 * half of a YMM register that is not saved, control words that are lost or come up wrong
 * in a new program, a child that does not inherit them, and a register that programs can reach and
 * the kernel does not switch.
 */
#include "components.h"
#include "registers.h"

#define PROCESSES	5
#define YIELDS		400
#define SPINS		60000000UL	/* instructions, long enough for some ticks */

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

/* --- All that a program can reach (museum entry 30) --- */

#define NEIGHBOURS	8
static struct image image;
static uint32_t component;

/* By XRSTOR alone: not every component has an instruction that may be used. */
static void leave_pattern(void)
{
	memset(&image, 0, sizeof(image));
	memset(component_in(&image, component), 0x40, component == PKRU ? 4 : component_size(component));
	image.xstate_bv = 1ul << component;
	xrstor(&image, 1ul << component);
	for (int i = 0; i < NEIGHBOURS; i++)
		sched_yield();
}

static int is_initial(void)
{
	const uint8_t *value = component_in(&image, component);

	memset(&image, 0, sizeof(image));
	xsave(&image, 1ul << component);
	for (uint32_t i = 0; i < component_size(component); i++)
		if (image.xstate_bv && value[i])
			return 0;
	return 1;
}

/* Two processes on one CPU: what the one has put there the other must not find. */
static void switched(void)
{
	int bad = 0, status;
	long pid;

	memset(&image, 0, sizeof(image));
	xrstor(&image, 1ul << component);
	pid = fork();
	if (!pid) {
		leave_pattern();
		exit(0);
	}
	for (int i = 0; i < NEIGHBOURS; i++) {
		sched_yield();
		bad |= !is_initial();
	}
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
	if (bad)
		FAIL("component %u comes from another process", component);
}

static void test_reachable(void)
{
	if (!(cpuid(1, 0).ecx >> 27 & 1))
		SKIP("no XSAVE");
	stay_on_cpus(ONE_CPU);
	for (component = 2; component <= LAST_COMPONENT; component++)
		if (xgetbv(0) >> component & 1)
			EXPECT_EQ(ktap_child(switched), 0);
		else
			EXPECT_EQ(ktap_child(leave_pattern), SIGSEGV);
	stay_on_cpus(ALL_CPUS);
}

/* A section is timed, and the save before it, in a process whose registers are in memory, and in one that uses them. */
static void test_timed_section(void)
{
	long pid;

	if (!debug_allowed())
		SKIP("no debug calls");
	pid = fork();
	if (pid == 0) {
		debug(TARRY_DEBUG_SECTION, TARRY_SECTION_SAVE);
		exit(0);
	}
	EXPECT_EQ(wait_status((int)pid), 0);
	make_pattern(&want, 99);
	keep_calling(TARRY_SYS_DEBUG, TARRY_DEBUG_SECTION, 100);
	compare(0);
}

static uint64_t last_x87_instruction(void)
{
	static _Alignas(16) uint64_t image[512 / sizeof(uint64_t)];

	asm volatile("fxsave64 %0" : "=m"(image));
	return image[1];
}

/* 0, or what is wrong after many switches. */
static int keep_fip(const uint8_t *code)
{
	((void (*)(void))code)();
	for (uint32_t i = 0; i < YIELDS; i++)
		sched_yield();
	return last_x87_instruction() != (uint64_t)code + 2;
}

/* FIP is 64 bits; the form of XSAVE without REX.W would keep 32. QEMU's software CPU has none. */
static void test_fip(void)
{
	static const uint8_t code[] = { 0xd9, 0xe8, 0xdd, 0xd8, 0xc3 }; /* FLD1; FSTP ST(0); RET */
	uint8_t *page = (uint8_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	for (uint32_t i = 0; i < PROCESSES; i++)
		memcpy(page + 64 * i, code, sizeof(code));
	((void (*)(void))page)();
	if (!last_x87_instruction())
		SKIP("this CPU does not say where its last x87 instruction was");
	EXPECT((uint64_t)page >> 32);
	for (uint32_t i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			exit(keep_fip(page + 64 * i));
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
	{ "what can be reached is switched", test_reachable },
	{ "FIP across yields", test_fip },
	{ "a section that is timed", test_timed_section },
};

int main(int argc, char **argv)
{
	detect();
	if (argc > 1 && strcmp(argv[1], "--fresh") == 0)
		return check_fresh();
	printf("# %s\n", avx ? "x87, SSE and AVX" : "x87 and SSE, no AVX here");
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
