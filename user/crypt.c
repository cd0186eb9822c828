/*
 * crypt [PACKETS [SIZE]] - lets the kernel seal packets in each of its ways, and checks the result
 * against ciphers of its own: the kernel's scalar sources, compiled into this program. Shows what
 * the FPU sections did: how many saved somebody's registers, and how many found nothing to do.
 */
#include <lib.h>
#include "kernel/crypto/aead.h"

enum { PATTERN = 37 };

static uint8_t input[TARRY_CRYPT_MAX_SIZE], output[TARRY_CRYPT_MAX_SIZE], own[TARRY_CRYPT_MAX_SIZE];
static uint8_t aad[16], own_tags[AEAD_TAG];

static const struct {
	uint32_t flags;
	const char *name;
} ways[] = {
	{ 0, "in our context, vectors" },
	{ TARRY_CRYPT_WORKER, "by the worker, vectors" },
	{ TARRY_CRYPT_SCALAR, "in our context, scalar" },
	{ TARRY_CRYPT_SCALAR | TARRY_CRYPT_WORKER, "by the worker, scalar" },
};

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static void prepare(struct tarry_crypt *call)
{
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)(i * PATTERN);
	for (size_t i = 0; i < sizeof(aad); i++)
		aad[i] = (uint8_t)~i;
	getrandom(call->key, sizeof(call->key), 0);
	getrandom(call->nonce, sizeof(call->nonce), 0);
	call->input = (uint64_t)input;
	call->output = (uint64_t)output;
	call->aad = (uint64_t)aad;
	call->aad_size = sizeof(aad);
}

/* What the kernel should answer, into own and own_tags. */
static void seal_ourselves(const struct tarry_crypt *call)
{
	uint8_t nonce[CHACHA20_NONCE], tag[AEAD_TAG];
	struct aead aead = { chacha20_xor, call->key, nonce, aad, call->aad_size };

	memcpy(nonce, call->nonce, sizeof(nonce));
	memset(own_tags, 0, sizeof(own_tags));
	for (uint32_t i = 0; i < call->packets; i++) {
		store_u32(nonce + 8, load_u32(call->nonce + 8) + i);
		aead_seal(&aead, own, tag, input, call->size);
		for (size_t k = 0; k < sizeof(tag); k++)
			own_tags[k] ^= tag[k];
	}
}

static int seal_one_way(struct tarry_crypt *call, const char *name)
{
	struct tarry_stats before = counters(), after;
	uint64_t start = now_ns();
	long error = crypt(call);
	uint64_t us = (now_ns() - start) / 1000;
	int right;

	after = counters();
	if (error) {
		dprintf(2, "crypt: %s: %s\n", name, error_text(error));
		return 1;
	}
	right = memcmp(call->tags, own_tags, sizeof(own_tags)) == 0 &&
		memcmp(output, own, call->size) == 0;
	printf("%-24s %s %8lu us, sections that had to take the FPU: %lu, that had it: %lu\n", name,
	       right ? "right" : "WRONG", us, after.fpu_sections - before.fpu_sections,
	       after.fpu_sections_again - before.fpu_sections_again);
	return !right;
}

int main(int argc, char **argv)
{
	struct tarry_crypt call = { .packets = 1000, .size = 1400 };
	uint64_t value;
	int failed = 0;

	if (argc > 1 && parse_number(argv[1], &value) == 0)
		call.packets = (uint32_t)value;
	if (argc > 2 && parse_number(argv[2], &value) == 0)
		call.size = (uint32_t)value;
	if (call.size > TARRY_CRYPT_MAX_SIZE || call.packets > TARRY_CRYPT_MAX_PACKETS) {
		dprintf(2, "crypt: at most %u packets of at most %u bytes\n",
			TARRY_CRYPT_MAX_PACKETS, TARRY_CRYPT_MAX_SIZE);
		return 1;
	}
	prepare(&call);
	seal_ourselves(&call);
	printf("%u packets of %u bytes\n", call.packets, call.size);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		call.flags = ways[i].flags;
		failed |= seal_one_way(&call, ways[i].name);
	}
	return failed;
}
