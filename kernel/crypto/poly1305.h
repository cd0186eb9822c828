/*
 * Poly1305 (RFC 8439, section 2.5): the one-time authenticator, in general registers. Pure, and in a time that
 * depends on the message's length alone. A key must never serve for two messages.
 */
#ifndef KERNEL_CRYPTO_POLY1305_H
#define KERNEL_CRYPTO_POLY1305_H

#include "kernel/types.h"

#define POLY1305_KEY 32
#define POLY1305_BLOCK 16
#define POLY1305_TAG 16

struct poly1305 {
	u64 r[3], h[3]; /* multiplier and sum, in limbs of 44, 44 and 42 bits */
	u64 pad[2];	/* added at the end: the key's second half */
	u8 block[POLY1305_BLOCK];
	u32 used; /* bytes in block */
};

void poly1305_init(struct poly1305 *mac, const u8 *key);
void poly1305_update(struct poly1305 *mac, const u8 *data, size_t n);
/* Fills the last block up with zeros, if it was begun: between the parts of an AEAD message. */
void poly1305_align(struct poly1305 *mac);
/* The tag; mac is wiped. */
void poly1305_final(struct poly1305 *mac, u8 *tag);

#endif
