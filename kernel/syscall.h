/*
 * System calls. syscalls.def lists them by number; a function takes its arguments as the caller gave them
 * (64 bits each; an int parameter is its low half) and returns a result or -errno. Called with interrupts
 * on, preemptible, no lock held.
 */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include "kernel/types.h"
#include "user/include/tarry.h"

#define LINUX_CALLS 512 /* numbers below this are Linux's */
#define OWN_CALLS (TARRY_SYS_END - TARRY_SYS_FIRST)

struct timespec {
	s64 sec, nsec;
};

/* Nanoseconds of a checked timespec; far futures saturate. */
u64 timespec_ns(const struct timespec *ts);
/* What to add to clock_ns for the time of day. */
u64 realtime_offset(void);

/* TSC from the kernel's first instruction to the first user instruction; noted once. */
void boot_finished(void);
u64 boot_insns(void);

struct regs;
/* A system call by INT 0x80: its result. Interrupts on. */
long syscall_int80(const struct regs *regs);

#define SYSCALL(number, name, ...) long sys_##name(__VA_ARGS__);
#include "kernel/syscalls.def"
#undef SYSCALL

#endif
