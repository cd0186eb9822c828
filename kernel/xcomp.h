/* Components of the FPU that a process must ask for; see xcomp.c. */
#ifndef KERNEL_XCOMP_H
#define KERNEL_XCOMP_H

#include "kernel/cpu.h"

struct sigaltstack;

/* arch_prctl(ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM), errors as on Linux. */
long xcomp_prctl(u32 command, u64 argument);

/*
 * #NM in user mode, because of these components: the task may try again with room for them, or it gets SIGILL (no
 * permission) or SIGSEGV (no memory). Preemptible, interrupts on.
 */
void xcomp_first_use(u64 components, const struct regs *regs);

/* *stack := *new, the current task's; -ENOMEM if a frame with all that its process may use would not fit. */
long xcomp_set_stack(struct sigaltstack *stack, const struct sigaltstack *new);

#endif
