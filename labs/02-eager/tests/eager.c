/*
 * eager - loads are done at the end of a section, whether or not they are needed. Catches: a hook that leaves it to
 * the way to user mode, which loads only what it must.
 */
#include "labs/lab.h"

enum { TURNS = 100 };

static struct tarry_stats before, after;

#define SINCE(member)	(after.member - before.member)

/* Many sections in one call: deferred, one load would be due. */
static void test_sections(void)
{
	static uint8_t packet[64];
	struct tarry_crypt call = { .input = (uint64_t)packet, .size = sizeof(packet), .packets = TURNS };

	stats(&before, sizeof(before));
	EXPECT_EQ(crypt(&call), 0);
	stats(&after, sizeof(after));
	if (SINCE(fpu_loads) < TURNS)
		FAIL("expected at least %d loads in %d kernel sections, seen %lu", TURNS, TURNS, SINCE(fpu_loads));
}

static const struct ktap_test tests[] = {
	{ "a load at the end of each section", test_sections },
};

LAB_MAIN(tests)
