/* Exceptions in user mode; see exception.c. */
#ifndef KERNEL_EXCEPTION_H
#define KERNEL_EXCEPTION_H

#include "kernel/cpu.h"

/* All but page faults; interrupts off. */
void user_exception(u64 vector, struct regs *regs);

#endif
