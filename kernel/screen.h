/* The live screen: on the command line view, or view=console, held, key or small; see screen.c and view.h. */
#ifndef KERNEL_SCREEN_H
#define KERNEL_SCREEN_H

#include "fpu/context.h"

/*
 * After the scheduler is up. Takes the VGA screen, and with view=console the terminal's upper rows; with view=key both
 * once Ctrl-T is typed, and with view=small that is answered by a line: the terminal has too few rows.
 */
void screen_init(void);

/* Both are for text again: before the last words. Any context. */
void screen_give_back(void);

/* A context has changed state: the picture changes, and the machine is held if a key has said so. Interrupts off. */
extern bool screen_on;
void screen_transition(const struct fpu_cpu *cpu, const struct fpu_context *context, const struct fpu_step *step);

/* In the timer's interrupt: shows what was too quick to be shown, and looks for a key. */
void screen_tick(void);

/* True if a byte from the console was meant for the screen. */
bool screen_key(u8 byte);

#endif
