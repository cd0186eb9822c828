/* What happens when the kernel can't go on; see panic.c. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/cpu.h"

/* Says why, prints a backtrace and the counters, ends the machine with a non-zero status. */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The same for an exception in the kernel, with its registers. */
void panic_regs(const struct regs *regs, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* All registers of a frame to the log. */
void log_regs(const struct regs *regs);

/* `name+offset` of a kernel address into buf (the address itself if there are no symbols). */
void symbol_name(u64 address, char *buf, size_t size);

/* Ends the machine. power_off reports the status of the first program. */
void power_off(int status) __attribute__((noreturn));
void power_off_panic(void) __attribute__((noreturn));

#endif
