/*
 * chacha.c - ChaCha20, Poly1305 and their AEAD: the vectors of RFC 8439, and the scalar code against both vector
 * forms over lengths, alignments and counters. The vector forms are linked as the kernel compiles them, with
 * flags of their own. Messages lie in blocks of their exact size, so that the sanitizer sees a byte too far.
 */
#include "host.h"
#include "tests/rfc8439.h"

#include "kernel/crypto/aead.c"
#include "kernel/crypto/chacha20.c"
#include "kernel/crypto/poly1305.c"

#define LONGEST 300
#define ROOM 2048

static const struct {
	const char *name;
	chacha20_xor_fn xor;
} forms[] = {
	{ "scalar", chacha20_xor },
	{ "SSE2", chacha20_xor_sse2 },
	{ "AVX2", chacha20_xor_avx2 },
};

/* How many of the forms this machine can run. */
static u32 usable(void)
{
	return __builtin_cpu_supports("avx2") ? 3 : 2;
}

static void fill(struct rng *rng, u8 *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (u8)rng_next(rng);
}

/* Fails if a form's key stream is not the RFC's. */
static void streams(void **state)
{
	for (u32 f = 0; f < usable(); f++)
		for (u32 i = 0; i < ARRAY_SIZE(rfc_streams); i++) {
			const struct rfc_stream *v = &rfc_streams[i];
			u8 key[32], nonce[12], plain[512], cipher[512];
			struct chacha20 c;
			u32 n = rfc_bytes(v->plain, plain);

			rfc_bytes(v->key, key);
			rfc_bytes(v->nonce, nonce);
			assert_int_equal(rfc_bytes(v->cipher, cipher), n);
			chacha20_init(&c, key, nonce, v->counter);
			forms[f].xor(&c, plain, plain, n);
			if (memcmp(plain, cipher, n))
				fail_msg("%s, %s", v->section, forms[f].name);
		}
}

/* Fails if a tag is not the RFC's, however the message is cut in two. A.3 #5 to #11 are the carries. */
static void macs(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(rfc_macs); i++) {
		const struct rfc_mac *v = &rfc_macs[i];
		u8 key[32], message[512], right[16], tag[16];
		u32 n = rfc_bytes(v->message, message);

		rfc_bytes(v->key, key);
		rfc_bytes(v->tag, right);
		for (u32 cut = 0; cut <= n; cut++) {
			struct poly1305 mac;

			poly1305_init(&mac, key);
			poly1305_update(&mac, message, cut);
			poly1305_update(&mac, message + cut, n - cut);
			poly1305_final(&mac, tag);
			if (memcmp(tag, right, sizeof(tag)))
				fail_msg("%s, cut at %u", v->section, cut);
		}
	}
}

/* Fails if seal or open differ from the RFC in any form. */
static void aeads(void **state)
{
	for (u32 f = 0; f < usable(); f++)
		for (u32 i = 0; i < ARRAY_SIZE(rfc_aeads); i++) {
			const struct rfc_aead *v = &rfc_aeads[i];
			u8 key[32], nonce[12], aad[16], plain[512], cipher[512], right[16], out[512], tag[16];
			u32 n = rfc_bytes(v->plain, plain);
			struct aead aead = { forms[f].xor, key, nonce, aad, rfc_bytes(v->aad, aad) };

			rfc_bytes(v->key, key);
			rfc_bytes(v->nonce, nonce);
			rfc_bytes(v->cipher, cipher);
			rfc_bytes(v->tag, right);
			aead_seal(&aead, out, tag, plain, n);
			assert_memory_equal(out, cipher, n);
			assert_memory_equal(tag, right, sizeof(tag));
			assert_true(aead_open(&aead, out, tag, cipher, n));
			assert_memory_equal(out, plain, n);
		}
}

/* One message in every form, from and to odd addresses, in place too: bytes and counters must agree. */
static void compare_forms(struct rng *rng, size_t n, u32 counter)
{
	size_t from = rng_below(rng, 33), to = rng_below(rng, 33);
	u8 key[32], nonce[12], *src = malloc(from + n + 1), *dst[3];
	struct chacha20 c[3];

	fill(rng, key, sizeof(key));
	fill(rng, nonce, sizeof(nonce));
	fill(rng, src, from + n);
	for (u32 f = 0; f < usable(); f++) {
		dst[f] = malloc(to + n);
		memset(dst[f], 0xa5, to);
		chacha20_init(&c[f], key, nonce, counter);
		if (counter & 1) {
			memcpy(dst[f] + to, src + from, n);
			forms[f].xor(&c[f], dst[f] + to, dst[f] + to, n);
		} else {
			forms[f].xor(&c[f], dst[f] + to, src + from, n);
		}
		if (memcmp(dst[f], dst[0], to + n) || memcmp(&c[f], &c[0], sizeof(c[0])))
			fail_msg("%s, %zu bytes from %zu to %zu, counter %u", forms[f].name, n, from, to, counter);
	}
	for (u32 f = 0; f < usable(); f++)
		free(dst[f]);
	free(src);
}

/* Fails if a form gets a length wrong, the end of a group or the wrap of the counter above all. */
static void forms_agree(void **state)
{
	struct rng rng = { 1 };

	for (size_t n = 0; n <= LONGEST; n++)
		for (u32 counter = 0; counter < 2; counter++)
			compare_forms(&rng, n, counter);
	for (u32 i = 0; i < 3000; i++)
		compare_forms(&rng, rng_below(&rng, ROOM), (u32)rng_next(&rng));
	for (u32 counter = 0xfffffff0; counter; counter++)
		compare_forms(&rng, ROOM, counter);
}

/* Fails if a stream taken in pieces of whole blocks is not the stream taken at once. */
static void in_pieces(void **state)
{
	struct rng rng = { 2 };
	u8 key[32] = { 7 }, nonce[12] = { 9 }, whole[ROOM], pieces[ROOM];
	struct chacha20 c;

	for (u32 round = 0; round < 300; round++) {
		u32 f = (u32)rng_below(&rng, usable());

		fill(&rng, whole, ROOM);
		memcpy(pieces, whole, ROOM);
		chacha20_init(&c, key, nonce, round);
		chacha20_xor(&c, whole, whole, ROOM);
		chacha20_init(&c, key, nonce, round);
		for (size_t at = 0, n; at < ROOM; at += n) {
			n = rng_below(&rng, 12) * CHACHA20_BLOCK;
			n = MIN(n, ROOM - at);
			forms[f].xor(&c, pieces + at, pieces + at, n);
		}
		assert_memory_equal(whole, pieces, ROOM);
	}
}

/* Every length, readable and secret part: what is sealed opens, in every form, and is the same in all. */
static void round_trip(void **state)
{
	struct rng rng = { 3 };
	u8 key[32], nonce[12];

	for (size_t n = 0; n <= LONGEST; n++) {
		size_t aad_size = rng_below(&rng, 40);
		u8 *plain = malloc(n + 1), *aad = malloc(aad_size), *out[3], tag[3][16];

		fill(&rng, key, sizeof(key));
		fill(&rng, nonce, sizeof(nonce));
		fill(&rng, plain, n);
		fill(&rng, aad, aad_size);
		for (u32 f = 0; f < usable(); f++) {
			struct aead aead = { forms[f].xor, key, nonce, aad, aad_size };

			out[f] = malloc(n + 1);
			aead_seal(&aead, out[f], tag[f], plain, n);
			assert_memory_equal(out[f], out[0], n);
			assert_memory_equal(tag[f], tag[0], 16);
		}
		for (u32 f = 0; f < usable(); f++) {
			struct aead aead = { forms[f].xor, key, nonce, aad, aad_size };

			assert_true(aead_open(&aead, out[f], tag[f], out[f], n));
			assert_memory_equal(out[f], plain, n);
			free(out[f]);
		}
		free(plain);
		free(aad);
	}
}

/* Any one bit of message, tag, readable part, nonce or key that is wrong: refused, and nothing is written. */
static void forgery(void **state)
{
	enum { N = 50, AAD = 13, PARTS = N + 16 + AAD + 12 + 32 };
	struct rng rng = { 4 };
	u8 all[PARTS], plain[N], out[N], untouched[N];
	u8 *cipher = all, *tag = all + N, *aad_data = tag + 16, *nonce = aad_data + AAD, *key = nonce + 12;
	struct aead aead = { chacha20_xor, key, nonce, aad_data, AAD };

	fill(&rng, all, sizeof(all));
	fill(&rng, plain, N);
	aead_seal(&aead, cipher, tag, plain, N);
	memset(untouched, 0x5a, N);
	for (u32 bit = 0; bit < PARTS * 8; bit++) {
		all[bit / 8] ^= (u8)(1 << bit % 8);
		memcpy(out, untouched, N);
		if (aead_open(&aead, out, tag, cipher, N))
			fail_msg("bit %u may be changed", bit);
		assert_memory_equal(out, untouched, N);
		all[bit / 8] ^= (u8)(1 << bit % 8);
	}
	assert_true(aead_open(&aead, out, tag, cipher, N));
	assert_false(aead_open(&aead, out, tag, cipher, N - 1));
	aead.aad_size--;
	assert_false(aead_open(&aead, out, tag, cipher, N));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams),   cmocka_unit_test(macs),	   cmocka_unit_test(aeads),
		cmocka_unit_test(forms_agree), cmocka_unit_test(in_pieces), cmocka_unit_test(round_trip),
		cmocka_unit_test(forgery),
	};

	if (usable() < ARRAY_SIZE(forms))
		print_message("# no AVX2 on this machine: that form is not tested\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
