/* Page faults; see fault.c. */
#ifndef KERNEL_FAULT_H
#define KERNEL_FAULT_H

#include "kernel/cpu.h"

/* The page-fault exception, interrupts off. */
void page_fault(struct regs *regs);

/*
 * The kernel has failed to access address for an instruction that it executes for the running program; error says
 * how, as for a page fault. The program gets its signal: true. False if the access would succeed by now: it is to be
 * tried again. Preemptible, interrupts on.
 */
bool fault_of_instruction(struct regs *regs, u64 address, u64 error);

/* Makes the zero page. Before the first user task. */
void fault_init(void);

#endif
