/* Text formatting without allocation; see format.c for the conversions. */
#ifndef KERNEL_FORMAT_H
#define KERNEL_FORMAT_H

#include <stdarg.h>
#include "kernel/types.h"

/* Like vsnprintf of C: returns the length the whole text would have; always ends with NUL if size > 0. */
int format_text_va(char *buf, size_t size, const char *fmt, va_list args);
int format_text(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
