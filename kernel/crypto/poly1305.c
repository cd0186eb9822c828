/*
 * Poly1305: h = (h + block) * r modulo 2^130 - 5 for every block, with numbers in limbs of 44, 44 and 42 bits,
 * so that 64 by 64 bit products of limbs can be summed in 128 bits without overflow. There is no branch and no
 * address that depends on key or message, and no division.
 */
#include "kernel/crypto/chacha20.h"
#include "kernel/crypto/poly1305.h"
#include "kernel/string.h"

#define LIMB_BITS 44
#define LIMB (BIT(LIMB_BITS) - 1)
#define TOP_BITS 42
#define TOP (BIT(TOP_BITS) - 1)
#define TOP_SHIFT (2 * LIMB_BITS - 64) /* of the top limb in the number's second word */
#define BLOCK_END BIT(128 - 2 * LIMB_BITS) /* in the top limb: the one bit behind a full block */

typedef unsigned __int128 u128;

static void split(u64 *limb, u64 low, u64 high)
{
	limb[0] = low & LIMB;
	limb[1] = (low >> LIMB_BITS | high << (64 - LIMB_BITS)) & LIMB;
	limb[2] = high >> TOP_SHIFT;
}

void poly1305_init(struct poly1305 *mac, const u8 *key)
{
	/* "Clamping", section 2.5: some bits of r are always zero. */
	split(mac->r, load_u64(key) & 0x0ffffffc0fffffff, load_u64(key + 8) & 0x0ffffffc0ffffffc);
	memset(mac->h, 0, sizeof(mac->h));
	mac->pad[0] = load_u64(key + 16);
	mac->pad[1] = load_u64(key + 24);
	mac->used = 0;
}

/*
 * Adds a block and multiplies. What a product has at 2^132 (limb 3) and 2^176 counts 5 * 4 at 2^0 and 2^44,
 * since 2^130 is 5 here: hence the 20. end is BLOCK_END, or 0 for a block that carries its own end bit.
 */
static void add_block(struct poly1305 *mac, const u8 *block, u64 end)
{
	u64 *h = mac->h, m[3];
	const u64 *r = mac->r;
	u64 r1_20 = r[1] * 20, r2_20 = r[2] * 20;
	u128 d0, d1, d2;

	split(m, load_u64(block), load_u64(block + 8));
	h[0] += m[0];
	h[1] += m[1];
	h[2] += m[2] | end;
	d0 = (u128)h[0] * r[0] + (u128)h[1] * r2_20 + (u128)h[2] * r1_20;
	d1 = (u128)h[0] * r[1] + (u128)h[1] * r[0] + (u128)h[2] * r2_20;
	d2 = (u128)h[0] * r[2] + (u128)h[1] * r[1] + (u128)h[2] * r[0];
	d1 += (u64)(d0 >> LIMB_BITS);
	d2 += (u64)(d1 >> LIMB_BITS);
	h[0] = ((u64)d0 & LIMB) + (u64)(d2 >> TOP_BITS) * 5;
	h[1] = ((u64)d1 & LIMB) + (h[0] >> LIMB_BITS);
	h[2] = (u64)d2 & TOP;
	h[0] &= LIMB;
}

void poly1305_update(struct poly1305 *mac, const u8 *data, size_t n)
{
	if (mac->used) {
		size_t now = MIN(n, POLY1305_BLOCK - mac->used);

		memcpy(mac->block + mac->used, data, now);
		mac->used += (u32)now;
		data += now;
		n -= now;
		if (mac->used < POLY1305_BLOCK)
			return;
		add_block(mac, mac->block, BLOCK_END);
	}
	for (; n >= POLY1305_BLOCK; n -= POLY1305_BLOCK, data += POLY1305_BLOCK)
		add_block(mac, data, BLOCK_END);
	memcpy(mac->block, data, n);
	mac->used = (u32)n;
}

void poly1305_align(struct poly1305 *mac)
{
	static const u8 zeros[POLY1305_BLOCK];

	if (mac->used)
		poly1305_update(mac, zeros, POLY1305_BLOCK - mac->used);
}

/* All carries done, h below 2^130. */
static void carry(u64 *h)
{
	for (u32 round = 0; round < 2; round++) {
		h[1] += h[0] >> LIMB_BITS, h[0] &= LIMB;
		h[2] += h[1] >> LIMB_BITS, h[1] &= LIMB;
		h[0] += (h[2] >> TOP_BITS) * 5, h[2] &= TOP;
	}
	h[1] += h[0] >> LIMB_BITS, h[0] &= LIMB;
	h[2] += h[1] >> LIMB_BITS, h[1] &= LIMB;
}

/* h modulo 2^130 - 5: h, or h + 5 - 2^130 where that is not negative, chosen without a branch. */
static void reduce(u64 *h)
{
	u64 g[3], keep;

	carry(h);
	g[0] = h[0] + 5;
	g[1] = h[1] + (g[0] >> LIMB_BITS);
	g[2] = h[2] + (g[1] >> LIMB_BITS) - BIT(TOP_BITS);
	g[0] &= LIMB;
	g[1] &= LIMB;
	keep = -(g[2] >> 63); /* all ones if negative */
	for (u32 i = 0; i < 3; i++)
		h[i] = (h[i] & keep) | (g[i] & ~keep);
}

void poly1305_final(struct poly1305 *mac, u8 *tag)
{
	u128 sum;
	u64 *h = mac->h;

	if (mac->used) {
		mac->block[mac->used++] = 1;
		memset(mac->block + mac->used, 0, POLY1305_BLOCK - mac->used);
		add_block(mac, mac->block, 0);
	}
	reduce(h);
	sum = (u128)(h[0] | h[1] << LIMB_BITS) + mac->pad[0];
	store_u64(tag, (u64)sum);
	store_u64(tag + 8, (h[1] >> (64 - LIMB_BITS) | h[2] << TOP_SHIFT) + mac->pad[1] + (u64)(sum >> 64));
	wipe(mac, sizeof(*mac));
}
