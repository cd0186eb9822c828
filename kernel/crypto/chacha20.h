/*
 * ChaCha20 (RFC 8439, section 2.3 and 2.4), three ways: scalar, four blocks at once with SSE2, eight at once
 * with AVX2. Pure: no allocation, no locks, no state but what the caller passes.
 *
 * The two vector forms use the vector registers and never MXCSR or x87. In the kernel they may only be called
 * between kernel_fpu_begin and kernel_fpu_end.
 */
#ifndef KERNEL_CRYPTO_CHACHA20_H
#define KERNEL_CRYPTO_CHACHA20_H

#include "kernel/types.h"

#define CHACHA20_KEY 32
#define CHACHA20_NONCE 12
#define CHACHA20_BLOCK 64
#define CHACHA20_ROUNDS 20

/* Constants, key, block counter, nonce: the matrix of section 2.3, row by row. */
struct chacha20 {
	u32 word[16];
};

#define CHACHA20_COUNTER 12 /* index of the counter's word */

void chacha20_init(struct chacha20 *state, const u8 *key, const u8 *nonce, u32 counter);

/* The next block of the key stream. */
void chacha20_block(struct chacha20 *state, u8 *out);

/*
 * dst = src XOR key stream; dst may be src, else they must not overlap. The counter goes on by the number of
 * blocks begun: what is left of the last one is lost.
 */
typedef void (*chacha20_xor_fn)(struct chacha20 *state, u8 *dst, const u8 *src, size_t n);
void chacha20_xor(struct chacha20 *state, u8 *dst, const u8 *src, size_t n);
void chacha20_xor_sse2(struct chacha20 *state, u8 *dst, const u8 *src, size_t n);
void chacha20_xor_avx2(struct chacha20 *state, u8 *dst, const u8 *src, size_t n);

/* Little-endian words at any address. */
static inline u32 load_u32(const u8 *p)
{
	u32 value;

	__builtin_memcpy(&value, p, sizeof(value));
	return value;
}

static inline u64 load_u64(const u8 *p)
{
	u64 value;

	__builtin_memcpy(&value, p, sizeof(value));
	return value;
}

static inline void store_u32(u8 *p, u32 value)
{
	__builtin_memcpy(p, &value, sizeof(value));
}

static inline void store_u64(u8 *p, u64 value)
{
	__builtin_memcpy(p, &value, sizeof(value));
}

/* Clears secrets; a plain memset of what nobody reads again would be optimised away. */
static inline void wipe(void *p, size_t n)
{
	__builtin_memset(p, 0, n);
	asm volatile("" ::"r"(p) : "memory");
}

#endif
