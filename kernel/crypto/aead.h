/*
 * ChaCha20-Poly1305 (RFC 8439, section 2.8): encrypts a message and authenticates it together with data that
 * stays readable. Pure. A nonce must never come twice with the same key.
 */
#ifndef KERNEL_CRYPTO_AEAD_H
#define KERNEL_CRYPTO_AEAD_H

#include "kernel/crypto/chacha20.h"
#include "kernel/crypto/poly1305.h"

#define AEAD_TAG POLY1305_TAG

/* What a message is sealed with. A vector form of xor makes seal and open code for an FPU section. */
struct aead {
	chacha20_xor_fn xor;
	const u8 *key, *nonce; /* CHACHA20_KEY and CHACHA20_NONCE bytes */
	const u8 *aad;	       /* the readable data */
	size_t aad_size;
};

/* dst may be src. */
void aead_seal(const struct aead *aead, u8 *dst, u8 *tag, const u8 *src, size_t n);
/* False, and dst as it was, if the tag is wrong. */
bool aead_open(const struct aead *aead, u8 *dst, const u8 *tag, const u8 *src, size_t n);

#endif
