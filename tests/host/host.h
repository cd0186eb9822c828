/*
 * host.h - what the host unit tests share: cmocka, repeatable random numbers, and exact-size copies
 * in which the address sanitizer sees every byte read too far.
 *
 * The tests include the kernel's .c files, which then use libc's string functions where those have
 * the same prototype. Only strchr has not; it is renamed. Must not hold anything that one test
 * alone needs.
 */
#ifndef HOST_H
#define HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define strchr kernel_strchr

/* xorshift: the same numbers on every machine for the same seed, which must not be 0. */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state ^= rng->state << 13;
	rng->state ^= rng->state >> 7;
	rng->state ^= rng->state << 17;
	return rng->state;
}

/* 0 to n - 1 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

/* A copy on the heap with nothing behind its last byte. */
static inline uint8_t *exact_copy(const void *data, size_t n)
{
	uint8_t *copy = malloc(n);

	assert_non_null(copy);
	memcpy(copy, data, n);
	return copy;
}

#endif
