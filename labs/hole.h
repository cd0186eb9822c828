/*
 * What a function does that a student has yet to write: it says so and stops, in the kernel by a panic, in a host
 * test or the explorer by ending the program. Must compile wherever a function of Tarry's does, without its headers.
 */
#ifndef LABS_HOLE_H
#define LABS_HOLE_H

#if __STDC_HOSTED__
#define LAB_HOLE(where) (__builtin_printf("panic: %s is not written yet\n", where), __builtin_abort())
#else
void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
#define LAB_HOLE(where) panic("%s is not written yet", where)
#endif

#endif
