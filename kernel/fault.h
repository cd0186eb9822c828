/* Page faults; see fault.c. */
#ifndef KERNEL_FAULT_H
#define KERNEL_FAULT_H

#include "kernel/cpu.h"

/* The page-fault exception, interrupts off. */
void page_fault(struct regs *regs);

/* Makes the zero page. Before the first user task. */
void fault_init(void);

#endif
