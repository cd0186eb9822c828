/* What the proof needs of a machine: exceptions, a console that speaks KTAP, and an end; see machine.c. */
#ifndef RING0_MACHINE_H
#define RING0_MACHINE_H

#include "kernel/types.h"

/* Exceptions, serial ports, CR0 and CR4 for every FPU instruction that the CPU has. */
void machine_init(void);

/* A line on COM1. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A test's line in the report. fail() is a diagnostic that makes the test fail; only the first few of a test
 * are printed.
 */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void end_test(const char *name);
void skip_test(const char *name, const char *reason);

/* The report's end and the machine's. */
void machine_end(void) __attribute__((noreturn));

#endif
