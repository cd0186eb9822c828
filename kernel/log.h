/* The kernel's own messages; see log.c. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/types.h"

/* One line (without newline) to the log: time stamp, text. Any context. */
void klog(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Characters to the console (COM1 and, unless the log is on COM2 only, VGA) as they are. */
void console_write(const char *text, size_t n);

/* log=com2: from now on messages leave the console alone. */
void log_leave_console(void);

/*
 * From now on only this CPU has output, and takes no lock for it: before the last words. Whoever is in the middle
 * of a line may finish it, unless that takes too long, for it may never happen. Interrupts off.
 */
void log_take_over(void);

#endif
