/* A picture in VGA's form for a terminal: see ansi.c. Pure code, the same in host tests. */
#ifndef KERNEL_ANSI_H
#define KERNEL_ANSI_H

#include "kernel/types.h"

/* The top rows become the picture's; what else is written scrolls below them. And all rows scroll again. */
#define ANSI_TAKE "\033[2J\033[27;999r\033[27;1H"
#define ANSI_GIVE_BACK "\033[0m\033[r\033[999;1H\r\n"

/*
 * Control sequences that turn the terminal's picture, before, into after: as many as find room in out, for which
 * before is brought up to date. Their length; 0 when the two are the same. The cursor stays where it was. cells: of
 * a picture with 80 columns; size: at least ANSI_SMALLEST.
 */
#define ANSI_SMALLEST 64
size_t ansi_changes(u16 *before, const u16 *after, u32 cells, char *out, size_t size);

#endif
