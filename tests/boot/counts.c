/*
 * counts - what moves between registers and memory where the number is known beforehand: turns with
 * a kernel thread and with idle, a save of initial state, the loop of a thousand FPU sections. A
 * line "# counted: ..." for each figure goes to make bench, too. Catches: a load that could have
 * been avoided, a save that nobody needed, a component stored although it is initial, a section
 * that pays again. A tick may use the registers at any moment, for entropy; that is counted, and
 * allowed for exactly.
 */
#include <xstate.h>
#include "ktap.h"

enum { TURNS = 1000, SLEEPS = 100, SECTIONS = 1000, TRIES = 50 };

#define NEED_DEBUG()	do { if (!debug_allowed()) SKIP("needs debug on the command line"); } while (0)

static struct tarry_stats before, after;
static int policy;

static void show(const char *text, uint64_t value, const char *relation, uint64_t limit)
{
	printf("# counted: %s: %lu, %s %lu\n", text, value, relation, limit);
}

#define SINCE(member)	(after.member - before.member)

/* Waits until whoever reads what we print has read it: while we count, nobody else may run. */
static void settle(void)
{
	do {
		stats(&before, sizeof(before));
		sleep_ms(20);
		stats(&after, sizeof(after));
	} while (SINCE(context_switches) > 2);
}

/*
 * A load is due only if a section has pushed the registers out; an eager kernel loads at the end of
 * each section, too.
 */
static void expect_loads_avoided(const char *text, uint64_t turns)
{
	uint64_t most = SINCE(fpu_sections) + (policy == TARRY_POLICY_EAGER ?
					       SINCE(fpu_sections_again) : 0);

	show(text, SINCE(fpu_loads), "at most", most);
	EXPECT(SINCE(context_switches) >= 2 * turns);
	EXPECT(SINCE(fpu_loads) <= most);
	if (policy != TARRY_POLICY_LAZY)
		EXPECT(SINCE(fpu_saves) >= turns);
	if (policy == TARRY_POLICY_DEFERRED)
		EXPECT(SINCE(fpu_loads_avoided) + SINCE(fpu_sections) >= turns);
}

static void test_thread(void)
{
	NEED_DEBUG();
	if (before.cpus > 1)
		SKIP("the kernel thread has a CPU of its own");
	settle();
	stats(&before, sizeof(before));
	for (int i = 0; i < TURNS; i++)
		EXPECT_EQ(debug(TARRY_DEBUG_WAKE, 0), 0);
	stats(&after, sizeof(after));
	expect_loads_avoided("loads in 1000 turns with a kernel thread", TURNS);
}

static void test_idle(void)
{
	settle();
	stats(&before, sizeof(before));
	for (int i = 0; i < TRIES * SLEEPS && (i < SLEEPS || SINCE(context_switches) < 2 * SLEEPS); i++) {
		sleep_ms(1);	/* on a busy host it may be over before it begins */
		stats(&after, sizeof(after));
	}
	expect_loads_avoided("loads in 100 turns with idle", SLEEPS);
}

/* Every component of ours but PKRU becomes initial. Touched first: under lazy they must be ours. */
static void make_initial(void)
{
	static struct {
		uint8_t legacy[512], header[64], rest[4096 - 576];
	} __attribute__((aligned(64))) image;
	uint64_t mask = xgetbv(0) & ~PKRU_BIT;

	*(uint32_t *)(image.legacy + 24) = 0x1f80;	/* MXCSR: the standard form always loads it */
	__asm__ volatile("movaps %%xmm0, %%xmm0\n\txrstor64 %0"
			 : : "m"(image), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)));
}

/* No vector instruction may come between the counts, or there would be something to store. */
__attribute__((target("general-regs-only"))) static void save_initial_state(void)
{
	stats(&before, sizeof(before));
	for (int i = 0; i < SLEEPS; i++)
		debug(TARRY_DEBUG_WAKE, 0);
	stats(&after, sizeof(after));
}

static void test_initial(void)
{
	NEED_DEBUG();
	settle();
	make_initial();
	save_initial_state();
	show("bytes stored in saves of initial state", SINCE(fpu_bytes_saved), "64 for each:",
	     64 * SINCE(fpu_saves));
	/* A thread on another CPU may be done before we sleep. */
	EXPECT(policy == TARRY_POLICY_LAZY || SINCE(fpu_saves) >= (before.cpus > 1 ? 1 : SLEEPS));
	EXPECT_EQ(SINCE(fpu_bytes_saved), 64 * SINCE(fpu_saves));
}

/* Once without an interruption that used the registers, or let another task run. */
static void count_sections(void)
{
	static uint8_t packet[64];
	struct tarry_crypt call = {
		.input = (uint64_t)packet, .size = sizeof(packet), .packets = SECTIONS,
	};

	for (int i = 0; i < TRIES; i++) {
		__asm__ volatile("movaps %xmm0, %xmm0");	/* under lazy: ours */
		stats(&before, sizeof(before));
		EXPECT_EQ(crypt(&call), 0);
		stats(&after, sizeof(after));
		if (SINCE(entropy_vector) + SINCE(context_switches) == 0)
			return;
	}
	FAIL("no try of %d went through without an interruption", TRIES);
}

static void test_sections(void)
{
	if (before.cpus > 1)
		SKIP("the sum of all CPUs also has the sections of the others' ticks");
	settle();
	count_sections();
	show("saves in 1000 times begin, encrypt, end", SINCE(fpu_saves), "exactly", 1);
	EXPECT_EQ(SINCE(fpu_saves), 1);
	if (policy == TARRY_POLICY_EAGER)
		return;
	show("loads in the same", SINCE(fpu_loads), "at most", 1);
	show("sections in it that cost a test", SINCE(fpu_sections_again), "exactly", SECTIONS - 1);
	EXPECT(SINCE(fpu_loads) <= 1);
	EXPECT_EQ(SINCE(fpu_sections), 1);
	EXPECT_EQ(SINCE(fpu_sections_again), SECTIONS - 1);
}

static const struct ktap_test tests[] = {
	{ "turns with a kernel thread", test_thread }, { "turns with idle", test_idle },
	{ "initial state", test_initial }, { "a thousand sections", test_sections },
};

int main(void)
{
	if (stats(&before, sizeof(before)) < 0) {
		printf("KTAP version 1\n1..0 # SKIP only Tarry counts\n");
		return 0;
	}
	policy = (int)before.policy;
	stay_on_cpus(ONE_CPU);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
