/*
 * The scalar ChaCha20: one block at a time in general registers, so it runs anywhere, an interrupt inside a
 * kernel FPU section included. It is also what the vector forms are tested against, so it must stay as plain
 * as the RFC's own description.
 */
#include "kernel/crypto/chacha20.h"
#include "kernel/string.h"

void chacha20_init(struct chacha20 *state, const u8 *key, const u8 *nonce, u32 counter)
{
	static const u32 constants[4] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	for (u32 i = 0; i < 4; i++)
		state->word[i] = constants[i];
	for (u32 i = 0; i < 8; i++)
		state->word[4 + i] = load_u32(key + 4 * i);
	state->word[CHACHA20_COUNTER] = counter;
	for (u32 i = 0; i < 3; i++)
		state->word[13 + i] = load_u32(nonce + 4 * i);
}

static inline u32 rotate(u32 x, u32 n)
{
	return x << n | x >> (32 - n);
}

static inline void quarter_round(u32 *x, u32 a, u32 b, u32 c, u32 d)
{
	x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

void chacha20_block(struct chacha20 *state, u8 *out)
{
	struct chacha20 s = *state;

	for (u32 round = 0; round < CHACHA20_ROUNDS; round += 2) {
		for (u32 i = 0; i < 4; i++) /* columns */
			quarter_round(s.word, i, 4 + i, 8 + i, 12 + i);
		for (u32 i = 0; i < 4; i++) /* diagonals */
			quarter_round(s.word, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
	for (u32 i = 0; i < 16; i++)
		store_u32(out + 4 * i, s.word[i] + state->word[i]);
	state->word[CHACHA20_COUNTER]++;
	wipe(&s, sizeof(s));
}

void chacha20_xor(struct chacha20 *state, u8 *dst, const u8 *src, size_t n)
{
	u8 block[CHACHA20_BLOCK];

	while (n) {
		size_t now = MIN(n, sizeof(block));

		chacha20_block(state, block);
		for (size_t i = 0; i < now; i++)
			dst[i] = src[i] ^ block[i];
		dst += now;
		src += now;
		n -= now;
	}
	wipe(block, sizeof(block));
}
