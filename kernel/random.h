/* Random numbers; see random.c. */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include "kernel/types.h"

/* A number that programs can't easily guess: RDRAND where there is one, else the TSC, mixed. */
u64 random_u64(void);

#endif
