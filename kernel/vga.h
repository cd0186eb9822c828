/* The 80x25 text screen; see vga.c. */
#ifndef KERNEL_VGA_H
#define KERNEL_VGA_H

#include "kernel/types.h"

void vga_init(void);

/* Shows text at the cursor. Understands newline, carriage return, backspace, tab and drops ESC sequences. */
void vga_write(const char *text, size_t n);

#endif
