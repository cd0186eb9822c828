/* Random numbers; see random.c. */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include "kernel/types.h"

/* Any context, and no FPU section. Never waits: until entropy_ready() the numbers may be guessable. */
void random_bytes(void *dst, size_t n);
u64 random_u64(void);

#endif
