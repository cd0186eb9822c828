/*
 * half - a frame whose end is missing is one with x87 and SSE only, as on Linux: a program that was given back a part
 * of its frame must not get the bytes behind it. Catches: a descriptor believed without the second magic word.
 */
#include "labs/lab.h"
#include "tests/boot/signals.h"

static uint32_t end;			/* what the handler leaves as the second magic word */

static void spoil_end(int signal, struct info *info, struct context *uc)
{
	struct sw *sw = sw_of(uc);

	note(signal, info, uc);
	*(uint32_t *)(uc->fpstate + sw->xstate_size) = end;
}

/* A signal while ymm9 has the value; what it has afterwards. */
static void ymm9_across(uint8_t *value, uint8_t *after)
{
	long result;

	__asm__ volatile("vmovdqu (%2), %%ymm9\n\tsyscall\n\tvmovdqu %%ymm9, (%3)\n\tvzeroupper"
			 : "=a"(result)
			 : "a"((long)SYS_kill), "r"(value), "r"(after), "D"(getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "xmm9", "memory");
	EXPECT_EQ(result, 0);
}

static void check(uint32_t magic, int upper_is_kept)
{
	uint8_t value[32], after[32], zero[16] = { 0 };

	memset(value, 0x5a, sizeof(value));
	set_handler(SIGUSR1, spoil_end, 0, 0);
	reset();
	end = magic;
	ymm9_across(value, after);
	EXPECT_EQ(calls, 1);
	if (memcmp(after, value, 16) != 0)
		FAIL("the lower half: expected to be kept, seen %x", after[0]);
	if (memcmp(after + 16, upper_is_kept ? value + 16 : zero, 16) != 0)
		FAIL("the upper half: expected %s, seen %x", upper_is_kept ? "to be kept" : "initial", after[16]);
}

static void test_whole(void)
{
	check(MAGIC2, 1);
}

static void test_half(void)
{
	check(0, 0);
}

static const struct ktap_test tests[] = { { "a whole frame", test_whole }, { "half a frame", test_half } };

LAB_MAIN(tests)
