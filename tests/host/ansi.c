/*
 * ansi.c - a small terminal reads the control sequences and must show the picture, whatever it showed before, with
 * any room for a piece; and nothing is sent for what has not changed.
 */
#include "host.h"

#include "kernel/format.c"

#include "kernel/ansi.c"

#define CELLS (80 * 25)

static u16 shown[CELLS];
static u32 at, colours; /* the terminal's cursor, and its attribute as VGA has it */

static u32 vga(u32 ansi)
{
	return (ansi & 1) << 2 | (ansi & 2) | (ansi & 4) >> 2;
}

/* One sequence after ESC; returns what follows it. */
static const char *sequence(const char *p)
{
	unsigned a = 0, b = 0;
	char end = 0;
	int n = 0;

	if (*p == '7' || *p == '8')
		return p + 1;
	if (sscanf(p, "[%u;%u%c%n", &a, &b, &end, &n) == 3 && end == 'H') {
		at = (a - 1) * 80 + b - 1;
	} else if (end == 'm') {
		colours = (a >= 90 ? 8 | vga(a - 90) : vga(a - 30)) | vga(b - 40) << 4;
	} else {
		assert_memory_equal(p, "[0m", 3);
		n = 3;
	}
	return p + n;
}

static void terminal(const char *p, size_t n)
{
	for (const char *end = p + n; p < end;) {
		if (*p == '\033') {
			p = sequence(p + 1);
			continue;
		}
		assert_true(at < CELLS);
		shown[at] = (u16)(colours << 8 | (u8)*p++);
		at = at % 80 == 79 ? ~0u : at + 1;
	}
}

static void pictures(void **state)
{
	static u16 before[CELLS], after[CELLS];
	static char out[4096];

	memset(shown, 0, sizeof(shown));
	srand(1);
	for (int round = 0; round < 200; round++) {
		size_t n, room = ANSI_SMALLEST + (size_t)rand() % (sizeof(out) - ANSI_SMALLEST);

		for (int i = round ? rand() % 300 : CELLS; i; i--)
			after[round ? rand() % CELLS : i - 1] = (u16)((rand() & 0x7f) << 8 | (' ' + rand() % 95));
		while ((n = ansi_changes(before, after, CELLS, out, room))) {
			assert_true(n <= room);
			terminal(out, n);
		}
		assert_memory_equal(shown, after, sizeof(after));
		assert_memory_equal(before, after, sizeof(after));
	}
	assert_int_equal(ansi_changes(before, after, CELLS, out, sizeof(out)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(pictures) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
