/* Futexes; see futex.c. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H

#include "kernel/types.h"

/* Wakes up to count waiters on a word of the current address space; returns how many. */
long futex_wake_address(u64 address, u32 count);

/* The current thread ends, or gives up its memory: the locks on its robust list have no holder any more. */
void robust_list_exit(void);

#endif
