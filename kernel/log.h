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

/* From now on output takes no lock: for panic. */
void log_break_locks(void);

#endif
