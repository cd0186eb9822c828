/*
 * ChaCha20 on several blocks at once: the body that chacha20_sse2.c and chacha20_avx2.c share. The includer
 * defines LANES, the 32-bit lanes of a vector register (4 or 8), and CHACHA20_XOR, the name of its function.
 *
 * Vector i holds word i of every block: lane j belongs to block j. So all blocks go through the rounds
 * together with no shuffles; only the result has to be transposed. Integer instructions only: nothing here may
 * touch MXCSR or x87, and nothing may call code that is compiled with other flags but memcpy.
 */
#include "kernel/crypto/chacha20.h"
#include "kernel/string.h"

#define HALVES (LANES / 4) /* 128-bit pieces in a vector; a piece is a quarter of a block */
#define GROUP (LANES * CHACHA20_BLOCK)

typedef u32 vec __attribute__((vector_size(4 * LANES)));
typedef u64 pairs __attribute__((vector_size(4 * LANES)));
/* A piece of a message: at any address, of any type. */
typedef u32 piece __attribute__((vector_size(16), aligned(1), may_alias));

/* Interleaving the low or the high words, or pairs of words, of two vectors, within each 128-bit piece. */
#if LANES == 4
#define LANE_NUMBERS { 0, 1, 2, 3 }
#define LOW_WORDS(a, b) __builtin_shuffle(a, b, (vec){ 0, 4, 1, 5 })
#define HIGH_WORDS(a, b) __builtin_shuffle(a, b, (vec){ 2, 6, 3, 7 })
#define LOW_PAIRS(a, b) (vec)__builtin_shuffle((pairs)(a), (pairs)(b), (pairs){ 0, 2 })
#define HIGH_PAIRS(a, b) (vec)__builtin_shuffle((pairs)(a), (pairs)(b), (pairs){ 1, 3 })
#else
#define LANE_NUMBERS { 0, 1, 2, 3, 4, 5, 6, 7 }
#define LOW_WORDS(a, b) __builtin_shuffle(a, b, (vec){ 0, 8, 1, 9, 4, 12, 5, 13 })
#define HIGH_WORDS(a, b) __builtin_shuffle(a, b, (vec){ 2, 10, 3, 11, 6, 14, 7, 15 })
#define LOW_PAIRS(a, b) (vec)__builtin_shuffle((pairs)(a), (pairs)(b), (pairs){ 0, 4, 2, 6 })
#define HIGH_PAIRS(a, b) (vec)__builtin_shuffle((pairs)(a), (pairs)(b), (pairs){ 1, 5, 3, 7 })
#endif

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))

#define QUARTER_ROUND(a, b, c, d)                                                                  \
	do {                                                                                       \
		x[a] += x[b], x[d] ^= x[a], x[d] = ROTATE(x[d], 16);                               \
		x[c] += x[d], x[b] ^= x[c], x[b] = ROTATE(x[b], 12);                               \
		x[a] += x[b], x[d] ^= x[a], x[d] = ROTATE(x[d], 8);                                \
		x[c] += x[d], x[b] ^= x[c], x[b] = ROTATE(x[b], 7);                                \
	} while (0)

/* One quarter of block `block` and, in the upper half of a longer vector, of block + 4. */
static inline void xor_quarter(u8 *dst, const u8 *src, u32 block, u32 quarter, vec stream)
{
	u32 at = block * CHACHA20_BLOCK + quarter * sizeof(piece);
	union {
		vec whole;
		piece half[HALVES];
	} cut = { stream };

	for (u32 half = 0; half < HALVES; half++, at += 4 * CHACHA20_BLOCK)
		*(piece *)(dst + at) = *(const piece *)(src + at) ^ cut.half[half];
}

/* Words 4 * quarter to 4 * quarter + 3 of all blocks: a 4 by 4 transposition in each piece. */
static inline void xor_words(u8 *dst, const u8 *src, u32 quarter, const vec *x)
{
	vec low01 = LOW_WORDS(x[0], x[1]), high01 = HIGH_WORDS(x[0], x[1]);
	vec low23 = LOW_WORDS(x[2], x[3]), high23 = HIGH_WORDS(x[2], x[3]);

	xor_quarter(dst, src, 0, quarter, LOW_PAIRS(low01, low23));
	xor_quarter(dst, src, 1, quarter, HIGH_PAIRS(low01, low23));
	xor_quarter(dst, src, 2, quarter, LOW_PAIRS(high01, high23));
	xor_quarter(dst, src, 3, quarter, HIGH_PAIRS(high01, high23));
}

/* GROUP bytes; the counter stays as it is. */
static void xor_group(const struct chacha20 *state, u8 *dst, const u8 *src)
{
	vec start[16], x[16];

	for (u32 i = 0; i < 16; i++)
		start[i] = state->word[i] - (vec){};
	start[CHACHA20_COUNTER] += (vec)LANE_NUMBERS;
	for (u32 i = 0; i < 16; i++)
		x[i] = start[i];
	for (u32 round = 0; round < CHACHA20_ROUNDS; round += 2) {
		QUARTER_ROUND(0, 4, 8, 12);
		QUARTER_ROUND(1, 5, 9, 13);
		QUARTER_ROUND(2, 6, 10, 14);
		QUARTER_ROUND(3, 7, 11, 15);
		QUARTER_ROUND(0, 5, 10, 15);
		QUARTER_ROUND(1, 6, 11, 12);
		QUARTER_ROUND(2, 7, 8, 13);
		QUARTER_ROUND(3, 4, 9, 14);
	}
	for (u32 i = 0; i < 16; i++)
		x[i] += start[i];
	for (u32 quarter = 0; quarter < 4; quarter++)
		xor_words(dst, src, quarter, x + 4 * quarter);
}

/* What is left at the end goes through a buffer: one group costs little more than one scalar block. */
static void xor_rest(const struct chacha20 *state, u8 *dst, const u8 *src, size_t n)
{
	u8 group[GROUP];

	memcpy(group, src, n);
	xor_group(state, group, group);
	memcpy(dst, group, n);
	wipe(group, sizeof(group));
}

void CHACHA20_XOR(struct chacha20 *state, u8 *dst, const u8 *src, size_t n)
{
	for (; n >= GROUP; n -= GROUP, dst += GROUP, src += GROUP) {
		xor_group(state, dst, src);
		state->word[CHACHA20_COUNTER] += LANES;
	}
	if (!n)
		return;
	xor_rest(state, dst, src, n);
	state->word[CHACHA20_COUNTER] += (u32)((n + CHACHA20_BLOCK - 1) / CHACHA20_BLOCK);
}
