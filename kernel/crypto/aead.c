/*
 * ChaCha20-Poly1305. Block 0 of the key stream is the authenticator's key, the message starts at block 1. The
 * tag is compared in constant time, and nothing of a message is decrypted before its tag is right.
 */
#include "kernel/crypto/aead.h"

/* The cipher at block 1 and the authenticator with its one-time key. */
static void start(const struct aead *aead, struct chacha20 *cipher, struct poly1305 *mac)
{
	u8 block[CHACHA20_BLOCK];

	chacha20_init(cipher, aead->key, aead->nonce, 0);
	chacha20_block(cipher, block);
	poly1305_init(mac, block);
	wipe(block, sizeof(block));
}

/* The tag over readable data, encrypted data and both lengths, each part filled up to whole blocks. */
static void authenticate(const struct aead *aead, struct poly1305 *mac, const u8 *data, size_t n, u8 *tag)
{
	u8 lengths[16];

	poly1305_update(mac, aead->aad, aead->aad_size);
	poly1305_align(mac);
	poly1305_update(mac, data, n);
	poly1305_align(mac);
	store_u64(lengths, aead->aad_size);
	store_u64(lengths + 8, n);
	poly1305_update(mac, lengths, sizeof(lengths));
	poly1305_final(mac, tag);
}

static bool same_tag(const u8 *a, const u8 *b)
{
	return !((load_u64(a) ^ load_u64(b)) | (load_u64(a + 8) ^ load_u64(b + 8)));
}

void aead_seal(const struct aead *aead, u8 *dst, u8 *tag, const u8 *src, size_t n)
{
	struct chacha20 cipher;
	struct poly1305 mac;

	start(aead, &cipher, &mac);
	aead->xor(&cipher, dst, src, n);
	authenticate(aead, &mac, dst, n, tag);
	wipe(&cipher, sizeof(cipher));
}

bool aead_open(const struct aead *aead, u8 *dst, const u8 *tag, const u8 *src, size_t n)
{
	struct chacha20 cipher;
	struct poly1305 mac;
	u8 right[AEAD_TAG];
	bool ok;

	start(aead, &cipher, &mac);
	authenticate(aead, &mac, src, n, right);
	ok = same_tag(tag, right);
	if (ok)
		aead->xor(&cipher, dst, src, n);
	wipe(&cipher, sizeof(cipher));
	wipe(right, sizeof(right));
	return ok;
}
