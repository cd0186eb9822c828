/*
 * format.c - the kernel's formatting against libc's snprintf: every conversion with flags, widths
 * and values at the edges, then random combinations, into buffers of every size.
 */
#include "host.h"

#include "kernel/format.c"

#define CHECK(...)                                                 \
	check_result(format_text(mine, sizeof(mine), __VA_ARGS__), \
		     snprintf(libcs, sizeof(libcs), __VA_ARGS__))

static char mine[256], libcs[256];

static void check_result(int n, int expected)
{
	assert_string_equal(mine, libcs);
	assert_int_equal(n, expected);
}

static const u64 edges[] = { 0,
			     1,
			     9,
			     10,
			     15,
			     16,
			     255,
			     0x7fffffff,
			     0x80000000,
			     0xffffffff,
			     0x7fffffffffffffff,
			     0x8000000000000000,
			     0xffffffffffffffff,
			     10000000000000000000ul,
			     1234567890123456789 };

/* format is the conversion without %; is called with a 64-bit value or its lower half, as the
 * length says. */
static void check_number(const char *flags, const char *width, const char *length, char conversion,
			 u64 value)
{
	char fmt[32];

	snprintf(fmt, sizeof(fmt), "<%%%s%s%s%c>", flags, width, length, conversion);
	if (*length)
		check_result(format_text(mine, sizeof(mine), fmt, value),
			     snprintf(libcs, sizeof(libcs), fmt, value));
	else
		check_result(format_text(mine, sizeof(mine), fmt, (u32)value),
			     snprintf(libcs, sizeof(libcs), fmt, (u32)value));
}

/* Fails on a wrong digit, sign or pad: the most negative number, minus with zero padding, and so
 * on. */
static void numbers(void **state)
{
	static const char *const flags[] = { "", "-", "0", "-0" },
				 *const widths[] = { "", "1", "5", "20", "30" },
				 *const lengths[] = { "", "l", "ll", "z" };

	for (u32 f = 0; f < ARRAY_SIZE(flags); f++)
		for (u32 w = 0; w < ARRAY_SIZE(widths); w++)
			for (u32 l = 0; l < ARRAY_SIZE(lengths); l++)
				for (const char *c = "diux"; *c; c++)
					for (u32 v = 0; v < ARRAY_SIZE(edges); v++)
						if (strcmp(flags[f],
							   "-0")) /* "flag ignored" in C */
							check_number(flags[f], widths[w],
								     lengths[l], *c, edges[v]);
}

/* Fails if a 32-bit argument is read as 64 bits: its upper half is whatever the register held. */
static void narrow_arguments(void **state)
{
	CHECK("%d %u %x %ld %c %d", -1, 0xffffffffu, 0x80000000u, -1l, 'q', 7);
}

/* Fails if a precision reads behind it, or padding counts the part that is cut off. */
static void text(void **state)
{
	char *three = malloc(3);

	memcpy(three, "abc", 3);
	format_text(mine, sizeof(mine), "%.3s|%5.2s|%-5.1s|%.0s", three, three, three, three);
	assert_string_equal(mine, "abc|   ab|a    |");
	free(three);
	CHECK("%s %10s %-10s| %.2s %.99s", "word", "word", "word", "word", "word");
	CHECK("%c%c%5c%-5c|%%", 'a', 'b', 'c', 'd');
	CHECK("");
	CHECK("no conversion");
}

/* Fails if the arguments after a %.*s are taken from the wrong place. */
static void precision_by_argument(void **state)
{
	CHECK("%.*s|%d", 2, "abcdef", 5);
	CHECK("%.*s|%d", 0, "abcdef", 6);
	CHECK("%.*s|%d", 99, "abc", 7);
}

/* Fails if a pointer is not 16 digits, or NULL text is followed. */
static void kernels_own(void **state)
{
	const char *none = NULL;

	format_text(mine, sizeof(mine), "%p %s", (void *)0xffffffff80001234ul, none);
	assert_string_equal(mine, "ffffffff80001234 (null)");
}

/* Fails if the NUL is written behind the buffer, or not at all: buffers of every size, on
 * the heap. */
static void buffer_sizes(void **state)
{
	for (size_t size = 0; size < 40; size++) {
		char *buf = malloc(size), expected[40];

		memset(expected, 'z', sizeof(expected));
		assert_int_equal(
			format_text(size ? buf : NULL, size, "%s-%d-%08lx", "text", -42, 0xbeeful),
			snprintf(expected, size, "%s-%d-%08lx", "text", -42, 0xbeeful));
		if (size)
			assert_string_equal(buf, expected);
		free(buf);
	}
}

/* Fails if an unfinished conversion at the end reads behind the format. */
static void unfinished_conversions(void **state)
{
	static const char *const formats[] = { "abc%",	"abc%-",  "abc%08",    "abc%l",
					       "abc%.", "abc%.3", "abc%-010ll" };

	for (u32 i = 0; i < ARRAY_SIZE(formats); i++) {
		char *fmt = strdup(formats[i]);

		format_text(mine, sizeof(mine), fmt, 1ul);
		assert_memory_equal(mine, "abc", 3);
		free(fmt);
	}
}

/* Fails where two features of the formatter disturb each other. */
static void random_combinations(void **state)
{
	static const char *const lengths[] = { "", "l", "z" }, *const flags[] = { "", "0", "-" };
	struct rng rng = { 31337 };

	for (u32 round = 0; round < 100000; round++) {
		char width[8] = "";
		u64 value = rng_next(&rng) >> rng_below(&rng, 64);

		if (rng_below(&rng, 2))
			snprintf(width, sizeof(width), "%d", 1 + (int)rng_below(&rng, 40));
		check_number(flags[rng_below(&rng, 3)], width, lengths[rng_below(&rng, 3)],
			     "diux"[rng_below(&rng, 4)], rng_below(&rng, 2) ? value : -value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(narrow_arguments),
		cmocka_unit_test(text),
		cmocka_unit_test(precision_by_argument),
		cmocka_unit_test(kernels_own),
		cmocka_unit_test(buffer_sizes),
		cmocka_unit_test(unfinished_conversions),
		cmocka_unit_test(random_combinations),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
