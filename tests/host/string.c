/*
 * string.c - the kernel's string functions under other names, against libc's, over sizes,
 * alignments and overlaps. Every comparison covers the bytes around the destination too. Assembly
 * is invisible to the address sanitizer, so overruns are found by those bytes.
 */
#include "host.h"

#undef strchr
#define memcpy kernel_memcpy
#define memmove kernel_memmove
#define memset kernel_memset
#define memcmp kernel_memcmp
#define strlen kernel_strlen
#define strnlen kernel_strnlen
#define strcmp kernel_strcmp
#define strncmp kernel_strncmp
#define strchr kernel_strchr

#include "kernel/string.c"

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define ROOM 400
#define LARGEST 200

static u8 before[ROOM], mine[ROOM], libcs[ROOM];

static void fill(struct rng *rng)
{
	for (u32 i = 0; i < ROOM; i++)
		before[i] = (u8)rng_next(rng);
	memcpy(mine, before, ROOM);
	memcpy(libcs, before, ROOM);
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

/* Fails if the quadword part or the bytes behind it are one too many or too few. */
static void copy(void **state)
{
	struct rng rng = { 1 };
	u8 source[ROOM];

	for (u32 from = 0; from < 8; from++)
		for (u32 to = 0; to < 8; to++)
			for (u32 n = 0; n <= LARGEST; n++) {
				fill(&rng);
				memcpy(source, before, ROOM);
				assert_ptr_equal(kernel_memcpy(mine + 8 + to, source + from, n),
						 mine + 8 + to);
				memcpy(libcs + 8 + to, source + from, n);
				assert_memory_equal(mine, libcs, ROOM);
			}
}

/* Fails if the direction of an overlapping move is wrong, in either direction, by any distance. */
static void move(void **state)
{
	struct rng rng = { 2 };

	for (u32 from = 0; from < 24; from++)
		for (u32 to = 0; to < 24; to++)
			for (u32 n = 0; n <= 100; n++) {
				fill(&rng);
				assert_ptr_equal(
					kernel_memmove(mine + 16 + to, mine + 16 + from, n),
					mine + 16 + to);
				memmove(libcs + 16 + to, libcs + 16 + from, n);
				assert_memory_equal(mine, libcs, ROOM);
			}
}

/* Fails if the fill byte is not spread over the quadword, or is taken with its upper bits. */
static void fill_bytes(void **state)
{
	static const int values[] = { 0, 1, 0x80, 0xff, -1, 0x1234 };
	struct rng rng = { 3 };

	for (u32 v = 0; v < ARRAY_SIZE(values); v++)
		for (u32 to = 0; to < 8; to++)
			for (u32 n = 0; n <= LARGEST; n++) {
				fill(&rng);
				assert_ptr_equal(kernel_memset(mine + to, values[v], n), mine + to);
				memset(libcs + to, values[v], n);
				assert_memory_equal(mine, libcs, ROOM);
			}
}

/* Fails if bytes above 127 compare as negative numbers, or the length is off by one. */
static void compare(void **state)
{
	struct rng rng = { 4 };

	for (u32 round = 0; round < 20000; round++) {
		u32 n = (u32)rng_below(&rng, 40), at = (u32)rng_below(&rng, 40);

		fill(&rng);
		mine[at] = (u8)rng_next(&rng);
		assert_int_equal(sign(kernel_memcmp(mine, libcs, n)), sign(memcmp(mine, libcs, n)));
	}
}

/* Random text of 0 to 20 characters of a tiny alphabet with a byte above 127, on the heap. */
static char *random_text(struct rng *rng)
{
	static const char alphabet[] = { 'a', 'b', '\xe4' };
	size_t n = rng_below(rng, 21);
	char *text = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		text[i] = alphabet[rng_below(rng, sizeof(alphabet))];
	text[n] = '\0';
	return text;
}

/* Fails if a function reads behind the end of its string (heap block) or compares signed
 * characters. */
static void strings(void **state)
{
	struct rng rng = { 5 };

	for (u32 round = 0; round < 20000; round++) {
		char *a = random_text(&rng), *b = random_text(&rng);
		size_t n = rng_below(&rng, 24);
		char c = "ab\xe4\0"[rng_below(&rng, 4)];

		if (rng_below(&rng, 3) == 0) {
			free(b);
			b = strdup(a);
		}
		assert_int_equal(kernel_strlen(a), strlen(a));
		assert_int_equal(kernel_strnlen(a, n), strnlen(a, n));
		assert_int_equal(sign(kernel_strcmp(a, b)), sign(strcmp(a, b)));
		assert_int_equal(sign(kernel_strncmp(a, b, n)), sign(strncmp(a, b, n)));
		assert_ptr_equal(kernel_strchr(a, c), strchr(a, c));
		free(a);
		free(b);
	}
}

/* Fails if bounded functions look at a byte behind their bound: these texts have no NUL. */
static void bounded_without_nul(void **state)
{
	char *text = malloc(8), *same = malloc(8);

	memset(text, 'x', 8);
	memset(same, 'x', 8);
	assert_int_equal(kernel_strnlen(text, 8), 8);
	assert_int_equal(kernel_strncmp(text, same, 8), 0);
	free(text);
	free(same);
}

/* Fails if the copy is not ended with NUL, or ends one byte too late. */
static void copy_text(void **state)
{
	for (size_t length = 0; length < 12; length++)
		for (size_t size = 1; size < 12; size++) {
			char source[16], expected[16], result[16];

			memset(source, 'q', length);
			source[length] = '\0';
			memset(result, '#', sizeof(result));
			memset(expected, '#', sizeof(expected));
			snprintf(expected, size, "%s", source);
			copy_string(result, source, size);
			assert_memory_equal(result, expected, sizeof(result));
		}
}

/* Fails if a number is read too far or not to its end. */
static void numbers(void **state)
{
	static const struct {
		const char *text;
		u64 value;
		size_t length;
	} cases[] = {
		{ "", 0, 0 },	{ "x", 0, 0 },	  { "-1", 0, 0 },
		{ "0", 0, 1 },	{ "12 ", 12, 2 }, { "007a", 7, 3 },
		{ "9:", 9, 1 }, { "/9", 0, 0 },	  { "18446744073709551615", ~0ul, 20 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *end;

		assert_int_equal(parse_number(cases[i].text, &end), cases[i].value);
		assert_int_equal(end - cases[i].text, cases[i].length);
	}
}

/* Fails if a page is cleared or copied by more or fewer than 4096 bytes. */
static void whole_pages(void **state)
{
	static u8 page[3][4096 + 16], expected[4096 + 16];

	memset(page, 0xa5, sizeof(page));
	memset(expected, 0xa5, sizeof(expected));
	clear_page(page[0] + 8);
	memset(expected + 8, 0, 4096);
	assert_memory_equal(page[0], expected, sizeof(expected));
	for (u32 i = 0; i < 4096; i++)
		expected[8 + i] = page[1][8 + i] = (u8)(i * 7);
	copy_page(page[2] + 8, page[1] + 8);
	assert_memory_equal(page[2], expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy),	       cmocka_unit_test(move),
		cmocka_unit_test(fill_bytes),  cmocka_unit_test(compare),
		cmocka_unit_test(strings),     cmocka_unit_test(bounded_without_nul),
		cmocka_unit_test(copy_text),   cmocka_unit_test(numbers),
		cmocka_unit_test(whole_pages),
	};

	return cmocka_run_group_tests_name("string", tests, NULL, NULL);
}
