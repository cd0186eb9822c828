/* Interrupt vectors and their dispatch; see traps.c. */
#ifndef KERNEL_TRAPS_H
#define KERNEL_TRAPS_H

#include "kernel/cpu.h"

enum exception {
	EXC_DIVIDE = 0, EXC_DEBUG = 1, EXC_NMI = 2, EXC_BREAKPOINT = 3, EXC_OVERFLOW = 4, EXC_BOUND = 5,
	EXC_UNDEFINED = 6, EXC_NO_FPU = 7, EXC_DOUBLE_FAULT = 8, EXC_TSS = 10, EXC_SEGMENT = 11,
	EXC_STACK = 12, EXC_PROTECTION = 13, EXC_PAGE_FAULT = 14, EXC_X87 = 16, EXC_ALIGNMENT = 17,
	EXC_MACHINE_CHECK = 18, EXC_SIMD = 19, EXC_CONTROL = 21,
};

#define VECTOR_TIMER 32
#define VECTOR_COM1 33
#define VECTOR_RESCHEDULE 34 /* the way out of the interrupt looks whether another task is to run */
#define VECTOR_CALL 35	     /* kernel/smp.c */
#define VECTOR_INT80 0x80
#define VECTOR_SPURIOUS 255
#define NUMBERED_STUBS 48

/* Page-fault error code (manual, volume 3, 4.7). */
#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH BIT(4)
#define PF_PKEY BIT(5)
#define PF_FORCE BIT(31) /* no CPU's: a debugger, whom an area's rights don't bind (mm_access) */

/* Loads the IDT; trap_init builds it first. */
void trap_init(void);
void idt_load(void);

/* "page fault" and so on. */
const char *exception_name(u64 vector);

/* Called by entry.asm for every exception and interrupt, interrupts off. */
void trap(u64 vector, struct regs *regs);

/*
 * Called by entry.asm on the way to user mode when the task's flags word is not 0, interrupts off;
 * returns with them off. True if the frame was changed and has to be loaded whole.
 */
bool exit_to_user_work(struct regs *regs);

#endif
