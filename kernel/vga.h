/* The 80x25 text screen; see vga.c. */
#ifndef KERNEL_VGA_H
#define KERNEL_VGA_H

#include "kernel/types.h"

void vga_init(void);

/* The screen is a picture's from now on: text is not shown. A picture: 80x25 cells as in text memory. */
void vga_take(void);
void vga_show(const u16 *picture);

/* Text is shown again, on an empty screen, if that was not so: before the last words. */
void vga_give_back(void);

/* Shows text at the cursor. Understands newline, carriage return, backspace, tab and drops ESC sequences. */
void vga_write(const char *text, size_t n);

#endif
