/*
 * lineedit.h - reading one line from a terminal, with editing and history.
 */
#ifndef LINEEDIT_H
#define LINEEDIT_H

#include <lib.h>

#define LINE_SIZE	1024
#define HISTORY_LINES	32

int terminal_is_interactive(void);	/* fd 0 is a terminal in line mode: people type there */
void terminal_raw(void);		/* bytes as typed, no echo, ^C is a byte */
void terminal_restore(void);

/* The length of the line, -EINTR after ^C, 0 with *end set after ^D on an empty line. */
long edit_line(const char *prompt, char line[LINE_SIZE], int *end);

void history_add(const char *line);
const char *history_get(int back);	/* 1 is the newest; NULL if there is none */

#endif
