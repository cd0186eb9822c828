/* The packet encrypter; see packets.c. */
#ifndef KERNEL_PACKETS_H
#define KERNEL_PACKETS_H

#include "kernel/types.h"

/* Starts the worker. After sched_init. */
void packets_init(void);

/* Packets sealed so far. */
u64 packets_sealed(void);

#endif
