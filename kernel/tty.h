/* The terminal on COM1; see tty.c. */
#ifndef KERNEL_TTY_H
#define KERNEL_TTY_H

/* Reads the command line's stdin= and stderr=, turns the input interrupt on. */
void tty_init(void);

/* COM1 has bytes for us. Interrupts off. */
void tty_interrupt(void);

#endif
