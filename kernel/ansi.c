/*
 * The live screen's picture as ECMA-48 control sequences, those for what has changed only: a serial line is slow. Knows
 * nothing of what the picture means.
 */
#include "kernel/ansi.h"
#include "kernel/format.h"

#define COLUMNS 80
#define SAVE_CURSOR "\0337"
#define RESTORE_CURSOR "\0338"
#define LONGEST_CELL 32 /* position, attribute and character */

/* VGA's colours count blue, green, red; the terminal's red, green, blue. */
static u32 colour(u32 vga)
{
	return (vga & 1) << 2 | (vga & 2) | (vga & 4) >> 2;
}

static size_t put_attribute(char *out, size_t size, u8 attribute)
{
	return (size_t)format_text(out, size, "\033[%u;%um", (attribute & 8 ? 90 : 30) + colour(attribute & 7),
				   40 + colour(attribute >> 4 & 7));
}

size_t ansi_changes(u16 *before, const u16 *after, u32 cells, char *out, size_t size)
{
	size_t n = (size_t)format_text(out, size, SAVE_CURSOR), start = n;
	u32 next = cells; /* where the cursor is */
	u32 attribute = ~0u;

	for (u32 i = 0; i < cells && size - n > LONGEST_CELL; i++) {
		if (before[i] == after[i])
			continue;
		if (i != next)
			n += (size_t)format_text(out + n, size - n, "\033[%u;%uH", i / COLUMNS + 1, i % COLUMNS + 1);
		if (attribute != after[i] >> 8)
			n += put_attribute(out + n, size - n, (u8)(after[i] >> 8));
		attribute = after[i] >> 8;
		out[n++] = (char)after[i];
		before[i] = after[i];
		next = i % COLUMNS == COLUMNS - 1 ? cells : i + 1; /* no terminal agrees with another on the last column */
	}
	if (n == start)
		return 0;
	return n + (size_t)format_text(out + n, size - n, "\033[0m" RESTORE_CURSOR);
}
