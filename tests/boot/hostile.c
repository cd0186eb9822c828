/*
 * hostile - programs that do to the extended state whatever user code can: reserved MXCSR
 * bits, saves with every mask, restores of garbage and of every kind of broken header.
 * Meanwhile a sibling keeps patterns in its registers and looks after them. Catches: a kernel
 * that panics on an image that it saved itself but can't load, and registers of another task
 * that change or show.
 *
 * An instruction that the processor refuses must end the program by SIGSEGV; one that it lets pass
 * must leave a program that goes on or is killed at the next load.
 */
#include <xstate.h>
#include "registers.h"

enum { AREA_SIZE = 16384, GARBAGE_ROUNDS = 150, MASK_BITS = 10 };

static uint8_t area[AREA_SIZE] __attribute__((aligned(64)));
static volatile int *done;		/* shared with the sibling */
static long sibling;

static int has_xsave_extension(int bit)
{
	return cpuid(0xd, 1).eax >> bit & 1;
}

static void start_sibling(void)
{
	done = (volatile int *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sibling = fork();
	if (sibling == 0) {
		uint32_t round = 0;

		ktap_failed = 0;
		while (!*done) {
			make_pattern(&want, 161803 + round++);
			keep(SYS_sched_yield, 20);
			compare(99);
		}
		exit(ktap_failed != 0);
	}
}

static void test_sibling(void)
{
	int status = -1;

	*done = 1;
	wait4((int)sibling, &status, 0);
	EXPECT_EQ(status, 0);
	munmap((void *)done, PAGE_SIZE);
}

/* Gives the kernel every occasion to save and to load what is in the registers now. */
static void live_on(void)
{
	for (int i = 0; i < 6; i++)
		sched_yield();
	sleep_ms(1);
}

static uint32_t hostile_mxcsr;

static void load_mxcsr(void)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(hostile_mxcsr));
	live_on();
}

static void test_mxcsr(void)
{
	for (int bit = 16; bit <= 32; bit++) {
		int status;

		hostile_mxcsr = bit < 32 ? 0x1f80 | 1U << bit : UINT32_MAX;
		status = ktap_child(load_mxcsr);
		if (status != SIGSEGV && status != 0)
			FAIL("MXCSR 0x%x: status 0x%x", hostile_mxcsr, (unsigned int)status);
	}
}

/* Unmasked exceptions are the program's right; nobody else's arithmetic may trap. */
static void unmask(void)
{
	hostile_mxcsr = 0;
	__asm__ volatile("ldmxcsr %0" : : "m"(hostile_mxcsr));
	live_on();
	__asm__ volatile("stmxcsr %0" : "=m"(hostile_mxcsr));
	EXPECT_EQ(hostile_mxcsr, 0);
}

static void test_unmasked(void)
{
	EXPECT_EQ(ktap_child(unmask), 0);
}

#define SAVE(insn, mask)						\
	__asm__ volatile(insn " %0" : "+m"(area)			\
			 : "a"((uint32_t)(mask)), "d"((uint32_t)((uint64_t)(mask) >> 32)) : "memory")
/* QEMU's XRSTOR does not look at CR0.TS, so the lazy policy gets its trap from MOVAPS first. */
#define RESTORE(insn, mask)						\
	__asm__ volatile("movaps %%xmm0, %%xmm0\n\t" insn " %0" : : "m"(area),	\
			 "a"((uint32_t)(mask)), "d"((uint32_t)((uint64_t)(mask) >> 32)) : "memory")

static void check_saved(const char *what, uint64_t mask)
{
	uint64_t found;

	memcpy(&found, area + 512, 8);
	if (found & ~xgetbv(0) || area[AREA_SIZE - 1])
		FAIL("%s with mask 0x%lx: XSTATE_BV 0x%lx", what, mask, found);
}

/* Low bits in every combination; the others all clear and all set. */
static void save_all(void)
{
	for (uint64_t low = 0; low < 1 << MASK_BITS; low++)
		for (int high = 0; high < 2; high++) {
			uint64_t mask = low | (high ? ~0UL << MASK_BITS : 0);

			memset(area, 0, sizeof(area));
			SAVE("xsave64", mask);
			check_saved("XSAVE", mask);
			if (has_xsave_extension(0)) {
				memset(area + 512, 0, 64);
				SAVE("xsaveopt64", mask);
				check_saved("XSAVEOPT", mask);
			}
			if (has_xsave_extension(1)) {
				memset(area + 512, 0, 64);
				SAVE("xsavec64", mask);
				check_saved("XSAVEC", mask);
			}
		}
	live_on();
}

static void test_save(void)
{
	EXPECT_EQ(ktap_child(save_all), 0);
}

static void save_supervisor(void) { SAVE("xsaves64", ~0UL); }
static void restore_supervisor(void) { RESTORE("xrstors64", ~0UL); }

static void save_unaligned(void)
{
	__asm__ volatile("xsave64 %0" : "+m"(area[8]) : "a"(7), "d"(0) : "memory");
}

static void save_unmapped(void)
{
	__asm__ volatile("xsave64 (%0)" : : "r"(0x10000), "a"(7), "d"(0) : "memory");
}

static void restore_kernel(void)
{
	__asm__ volatile("xrstor64 (%0)" : : "r"(0xffffffff80000000), "a"(7), "d"(0) : "memory");
}

static void test_refused(void)
{
	int status = ktap_child(save_supervisor);

	EXPECT(status == SIGSEGV || status == SIGILL);
	status = ktap_child(restore_supervisor);
	EXPECT(status == SIGSEGV || status == SIGILL);
	EXPECT_EQ(ktap_child(save_unaligned), SIGSEGV);
	EXPECT_EQ(ktap_child(save_unmapped), SIGSEGV);
	EXPECT_EQ(ktap_child(restore_kernel), SIGSEGV);
}

/* Garbage may close all memory, this function's included: the keys are left as they are. */
static void restore_area(void)
{
	RESTORE("xrstor64", ~PKRU_BIT);
	live_on();
}

static void restore_area_and_keys(void)
{
	RESTORE("xrstor64", ~0UL);
	live_on();
}

static void good_header(uint64_t xstate_bv, uint64_t xcomp_bv)
{
	uint32_t mxcsr = 0x1f80;

	memset(area, 0, sizeof(area));
	memcpy(area + 24, &mxcsr, 4);
	memcpy(area + 512, &xstate_bv, 8);
	memcpy(area + 520, &xcomp_bv, 8);
}

static void expect_kill(const char *what, int bit)
{
	int status = ktap_child(restore_area);

	if (status != SIGSEGV)
		FAIL("%s, bit %d: status 0x%x", what, bit, (unsigned int)status);
}

/* The standard format: XSTATE_BV within XCR0, bytes 8 to 23 of the header 0. */
static void test_headers(void)
{
	uint64_t xcr0 = xgetbv(0);

	good_header(xcr0 & 7, 0);
	EXPECT_EQ(ktap_child(restore_area), 0);
	for (int bit = 0; bit < 64; bit++) {
		if (!(xcr0 >> bit & 1)) {
			good_header((xcr0 & 7) | 1UL << bit, 0);
			expect_kill("XSTATE_BV", bit);
		}
		if (bit < 63) {
			good_header(xcr0 & 7, 1UL << bit);
			expect_kill("XCOMP_BV", bit);
		}
		good_header(xcr0 & 7, 0);
		area[528 + bit / 8] = (uint8_t)(1 << bit % 8);
		expect_kill("bytes 16 to 23", bit);
	}
}

/* The compacted format, where there is one: XSTATE_BV within XCOMP_BV within XCR0, the rest 0. */
static void test_compacted_headers(void)
{
	uint64_t xcr0 = xgetbv(0), compact = 1UL << 63;

	if (!has_xsave_extension(1))
		SKIP("no XSAVEC, no compacted format for user code");
	good_header(xcr0 & 7, compact | (xcr0 & 7));
	EXPECT_EQ(ktap_child(restore_area), 0);
	good_header(xcr0 & 7, compact | 1);
	expect_kill("XSTATE_BV outside XCOMP_BV", 1);
	for (int bit = 0; bit < 63; bit++)
		if (!(xcr0 >> bit & 1)) {
			good_header(xcr0 & 7, compact | (xcr0 & 7) | 1UL << bit);
			expect_kill("XCOMP_BV outside XCR0", bit);
		}
	for (int byte = 528; byte < 576; byte++) {
		good_header(xcr0 & 7, compact | (xcr0 & 7));
		area[byte] = 1;
		expect_kill("header byte", byte - 512);
	}
}

static uint32_t seed = 57721;

static uint8_t next_byte(void)
{
	seed = seed * 1664525 + 1013904223;
	return (uint8_t)(seed >> 24);
}

/* Three kinds of garbage: all of it, behind a good header, behind one with a wrong bit or two. */
static void test_garbage(void)
{
	for (int round = 0; round < GARBAGE_ROUNDS; round++) {
		uint8_t header[64];
		int status;

		good_header(xgetbv(0), 0);
		memcpy(header, area + 512, 64);
		for (size_t i = 0; i < AREA_SIZE; i++)
			area[i] = next_byte();
		if (round % 3)
			memcpy(area + 512, header, 64);
		if (round % 3 == 2)
			area[512 + next_byte() % 64] ^= (uint8_t)(1 << next_byte() % 8);
		status = ktap_child(round % 2 ? restore_area : restore_area_and_keys);
		if (status != SIGSEGV && status != 0)
			FAIL("round %d: status 0x%x", round, (unsigned int)status);
	}
}

static const struct ktap_test tests[] = {
	{ "MXCSR with reserved bits", test_mxcsr }, { "MXCSR with all unmasked", test_unmasked },
	{ "save with every mask", test_save }, { "saves and restores that fault", test_refused },
	{ "broken headers", test_headers }, { "broken compacted headers", test_compacted_headers },
	{ "garbage", test_garbage }, { "a sibling's registers", test_sibling },
};

int main(void)
{
	detect();
	start_sibling();
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
