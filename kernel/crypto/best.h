/* Which of the vector forms of ChaCha20 this CPU runs; see best.c. */
#ifndef KERNEL_CRYPTO_BEST_H
#define KERNEL_CRYPTO_BEST_H

#include "kernel/crypto/chacha20.h"

/* The widest form that CPU and XCR0 allow; before crypto_init the one with SSE2, which every CPU has. */
struct crypto_best {
	const char *name;
	chacha20_xor_fn xor;
};
extern struct crypto_best crypto_best;

/* Chooses. After fpu_init, which decides about XCR0. */
void crypto_init(void);

#endif
