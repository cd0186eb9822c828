/* The entropy pool; see entropy.c. */
#ifndef KERNEL_ENTROPY_H
#define KERNEL_ENTROPY_H

#include "kernel/types.h"

#define ENTROPY_SEED 32

struct entropy_counters {
	u64 samples;
	u64 vector_mixes; /* in interrupts that found the FPU usable */
	u64 scalar_mixes; /* in interrupts that did not */
};

/* What the machine gives at boot: RDRAND, if the CPU has it, and the TSC. */
void entropy_init(void);

/* A number that is hard to predict, the moment of an interrupt. In an interrupt, interrupts off. */
void entropy_mix_irq(u64 sample);

/* True once the pool can't be guessed: at once with RDRAND, else after some samples. */
bool entropy_ready(void);

/* ENTROPY_SEED bytes that depend on all of the pool and from which it can't be computed. Any context. */
void entropy_extract(u8 *seed);

/* Racy reads of counters that only grow. */
struct entropy_counters entropy_counters(void);

#endif
