/*
 * crypt - the packet encrypter and getrandom. RFC 8439's vectors go through the kernel in each of
 * its ways; batches are compared with the scalar sources compiled into this program. Catches: a
 * vector form that computes something else in the kernel than on the host, a section that leaves
 * its values in the caller's registers, a job whose caller is killed, random bytes that repeat or
 * are never set, a mix in an interrupt that found the FPU in use.
 */
#include "ktap.h"
#include "kernel/crypto/aead.h"
#include "tests/rfc8439.h"

#define LARGE		16384
#define FOR_EVER	TARRY_CRYPT_MAX_PACKETS	/* packets: some minutes */

static uint8_t input[TARRY_CRYPT_MAX_SIZE], output[TARRY_CRYPT_MAX_SIZE];
static uint8_t own[TARRY_CRYPT_MAX_SIZE], aad[TARRY_CRYPT_MAX_AAD];

#define NO_SUCH_CALL	"no crypt call here"

static const uint32_t ways[] = {
	0, TARRY_CRYPT_WORKER, TARRY_CRYPT_SCALAR, TARRY_CRYPT_WORKER | TARRY_CRYPT_SCALAR,
};

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static struct tarry_crypt make_call(uint32_t packets, uint32_t size, uint32_t flags)
{
	struct tarry_crypt call = {
		.input = (uint64_t)input, .output = (uint64_t)output, .aad = (uint64_t)aad,
		.size = size, .aad_size = size % TARRY_CRYPT_MAX_AAD, .packets = packets,
		.flags = flags,
	};

	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)(i * 29 + size);
	for (size_t i = 0; i < sizeof(aad); i++)
		aad[i] = (uint8_t)(size - i);
	memset(call.key, (int)size + 1, sizeof(call.key));
	memset(call.nonce, 0xff, sizeof(call.nonce));	/* the count wraps */
	memset(output, 0, sizeof(output));
	return call;
}

static void rfc_vector(const struct rfc_aead *v, uint32_t flags)
{
	struct tarry_crypt call = make_call(1, 0, flags);
	uint8_t cipher[512], tag[16];

	rfc_bytes(v->key, call.key);
	rfc_bytes(v->nonce, call.nonce);
	rfc_bytes(v->cipher, cipher);
	rfc_bytes(v->tag, tag);
	call.size = rfc_bytes(v->plain, input);
	call.aad_size = rfc_bytes(v->aad, aad);
	EXPECT_EQ(crypt(&call), 0);
	if (memcmp(output, cipher, call.size) != 0)
		FAIL("%s, flags %u: wrong text", v->section, flags);
	if (memcmp(call.tags, tag, sizeof(tag)) != 0)
		FAIL("%s, flags %u: wrong tag", v->section, flags);
}

static void test_vectors(void)
{
	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
	for (size_t way = 0; way < ARRAY_SIZE(ways); way++)
		for (size_t i = 0; i < ARRAY_SIZE(rfc_aeads); i++)
			rfc_vector(&rfc_aeads[i], ways[way]);
}

static void compare_batch(uint32_t packets, uint32_t size, uint32_t flags)
{
	struct tarry_crypt call = make_call(packets, size, flags);
	uint8_t nonce[CHACHA20_NONCE], tag[AEAD_TAG], tags[AEAD_TAG] = { 0 };
	struct aead aead = { chacha20_xor, call.key, nonce, aad, call.aad_size };

	memcpy(nonce, call.nonce, sizeof(nonce));
	for (uint32_t i = 0; i < packets; i++) {
		store_u32(nonce + 8, load_u32(call.nonce + 8) + i);
		aead_seal(&aead, own, tag, input, size);
		for (size_t k = 0; k < sizeof(tag); k++)
			tags[k] ^= tag[k];
	}
	EXPECT_EQ(crypt(&call), 0);
	if (memcmp(output, own, size) != 0 || memcmp(call.tags, tags, sizeof(tags)) != 0)
		FAIL("%u packets of %u bytes, flags %u: wrong", packets, size, flags);
}

static void test_batches(void)
{
	static const uint32_t sizes[] = {
		0, 1, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1400, TARRY_CRYPT_MAX_SIZE,
	};

	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
	for (size_t way = 0; way < ARRAY_SIZE(ways); way++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			compare_batch(3, sizes[i], ways[way]);
}

/* Several callers, each by itself and through the one worker, at once. */
static void test_many(void)
{
	int status;

	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
	for (uint32_t i = 0; i < 4; i++)
		if (fork() == 0) {
			ktap_failed = 0;
			for (uint32_t round = 0; round < 6; round++)
				compare_batch(20, 300 + 10 * i + round, ways[round % 4]);
			exit(ktap_failed != 0);
		}
	for (int i = 0; i < 4; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static void test_errors(void)
{
	struct tarry_crypt good = make_call(1, 100, 0), call;
	const uint64_t bad = 0x1000;			/* nothing is mapped there */

	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
#define EXPECT_ERROR(field, value, error) do {				\
		call = good;						\
		call.field = value;					\
		EXPECT_EQ(crypt(&call), -(error));			\
	} while (0)
	EXPECT_ERROR(flags, 4, EINVAL);
	EXPECT_ERROR(packets, 0, EINVAL);
	EXPECT_ERROR(packets, TARRY_CRYPT_MAX_PACKETS + 1, EINVAL);
	EXPECT_ERROR(size, TARRY_CRYPT_MAX_SIZE + 1, EINVAL);
	EXPECT_ERROR(aad_size, TARRY_CRYPT_MAX_AAD + 1, EINVAL);
	EXPECT_ERROR(input, bad, EFAULT);
	EXPECT_ERROR(input, 0xffffffff80000000, EFAULT);
	EXPECT_ERROR(aad, bad, EFAULT);
	EXPECT_ERROR(output, bad, EFAULT);
	EXPECT_EQ(crypt((struct tarry_crypt *)bad), -EFAULT);
	EXPECT_EQ(crypt(&good), 0);
	good.output = 0;				/* the tags are enough */
	EXPECT_EQ(crypt(&good), 0);
}

/* The caller's XMM registers across calls that use vectors in the kernel. */
static void keep_registers(long nr, long a, long b)
{
	static uint8_t before[4][16], after[4][16];

	for (size_t i = 0; i < sizeof(before); i++)
		before[i / 16][i % 16] = (uint8_t)(i * 7 + 1);
	__asm__ volatile("movdqu (%[in]), %%xmm0\n movdqu 16(%[in]), %%xmm5\n"
			 "movdqu 32(%[in]), %%xmm10\n movdqu 48(%[in]), %%xmm15\n"
			 "syscall\n"
			 "movdqu %%xmm0, (%[out])\n movdqu %%xmm5, 16(%[out])\n"
			 "movdqu %%xmm10, 32(%[out])\n movdqu %%xmm15, 48(%[out])\n"
			 : "+a"(nr)
			 : [in] "r"(before), [out] "r"(after), "D"(a), "S"(b), "d"(0)
			 : "rcx", "r11", "memory", "xmm0", "xmm5", "xmm10", "xmm15");
	EXPECT_EQ(nr < 0, 0);
	EXPECT_EQ(memcmp(before, after, sizeof(before)), 0);
}

static void test_registers(void)
{
	static uint8_t buf[4096];
	struct tarry_crypt call = make_call(10, 600, 0);

	keep_registers(SYS_getrandom, (long)buf, sizeof(buf));
	if (!on_tarry())
		return;
	keep_registers(TARRY_SYS_CRYPT, (long)&call, 0);
	call.flags = TARRY_CRYPT_WORKER;
	keep_registers(TARRY_SYS_CRYPT, (long)&call, 0);
}

/*
 * A thousand sections in one stay in the kernel: only after a switch or a mix does one of them cost
 * anything. The eager policy is there to show what it is like otherwise: it loads at every end.
 */
static void test_sections(void)
{
	struct tarry_crypt call = make_call(1000, 64, 0);
	struct tarry_stats before, after;
	uint64_t saves, loads;

	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
	before = counters();
	EXPECT_EQ(crypt(&call), 0);
	after = counters();
	EXPECT_EQ(after.packets_sealed - before.packets_sealed, 1000);
	EXPECT(after.fpu_sections + after.fpu_sections_again >=
	       before.fpu_sections + before.fpu_sections_again + 1000);
	saves = after.fpu_saves - before.fpu_saves;
	loads = after.fpu_loads - before.fpu_loads;
	printf("# 1000 packets: %lu saves, %lu loads\n", saves, loads);
	if (loads < 1000) {
		EXPECT(saves < 50 && loads < 50);
		EXPECT(after.fpu_sections_again - before.fpu_sections_again > 950);
	}
}

/* The caller of a job that would take minutes is killed; the next job must not wait for it. */
static void test_kill(void)
{
	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
	for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
		int status = 0;
		long pid = fork();

		if (pid == 0) {
			struct tarry_crypt call = make_call(FOR_EVER, TARRY_CRYPT_MAX_SIZE,
							    ways[way]);

			exit((int)-crypt(&call));
		}
		sleep_ms(20);
		EXPECT_EQ(kill((int)pid, SIGKILL), 0);
		EXPECT_EQ(wait4((int)pid, &status, 0), pid);
		EXPECT_EQ(status, SIGKILL);
		compare_batch(2, 333, ways[way]);
	}
}

static void test_lengths(void)
{
	static const size_t sizes[] = { 0, 1, 7, 63, 64, 65, 256, 511, 512, 513, 1024, 5000 };
	static uint8_t buf[5016];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t n = sizes[i], same = 0;

		memset(buf, 0xa5, sizeof(buf));
		EXPECT_EQ(getrandom(buf + 8, n, 0), n);
		for (size_t k = 0; k < 8; k++)
			EXPECT(buf[k] == 0xa5 && buf[8 + n + k] == 0xa5);
		for (size_t k = 0; k < n; k++)
			same += buf[8 + k] == 0xa5;
		EXPECT(same <= 2 + n / 32);
	}
}

static void test_flags(void)
{
	uint8_t byte;

	EXPECT_EQ(getrandom(&byte, 1, GRND_NONBLOCK), 1);
	EXPECT_EQ(getrandom(&byte, 1, GRND_RANDOM), 1);
	EXPECT_EQ(getrandom(&byte, 1, GRND_RANDOM | GRND_NONBLOCK), 1);
	EXPECT_EQ(getrandom(&byte, 1, 8), -EINVAL);
	EXPECT_EQ(getrandom(&byte, 1, 0x80000000), -EINVAL);
	EXPECT_EQ(getrandom(NULL, 1, 8), -EINVAL);
}

/* A fault at once is EFAULT; a buffer that ends too early gets what fits. */
static void test_fault(void)
{
	uint8_t *page = (uint8_t *)mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(munmap(page + PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT_EQ(getrandom(NULL, 1, 0), -EFAULT);
	EXPECT_EQ(getrandom(page + PAGE_SIZE, 100, 0), -EFAULT);
	EXPECT_EQ(getrandom((void *)0xffffffff80000000, 16, 0), -EFAULT);
	EXPECT_EQ(getrandom(page + PAGE_SIZE - 512, 1024, 0), 512);
	if (on_tarry())		/* Linux drops the part of a block */
		EXPECT_EQ(getrandom(page + PAGE_SIZE - 100, 1024, 0), 100);
	EXPECT_EQ(getrandom(page, PAGE_SIZE, 0), PAGE_SIZE);
	EXPECT_EQ(mprotect(page, PAGE_SIZE, PROT_READ), 0);
	EXPECT_EQ(getrandom(page, 8, 0), -EFAULT);
	EXPECT_EQ(munmap(page, PAGE_SIZE), 0);
}

/* Every call differs from all others, in every process; every byte takes many values. */
static void test_different(void)
{
	enum { CALLS = 200, WORDS = 4 };
	static uint64_t got[CALLS][WORDS];
	uint64_t ones[WORDS] = { 0 }, zeros[WORDS] = { 0 };
	int fds[2], status;

	EXPECT_EQ(pipe(fds), 0);
	for (int i = 0; i < CALLS / 2; i++)
		EXPECT_EQ(getrandom(got[i], sizeof(got[i]), 0), sizeof(got[i]));
	if (fork() == 0) {
		for (int i = 0; i < CALLS / 2; i++) {
			getrandom(got[i], sizeof(got[i]), 0);
			write(fds[1], got[i], sizeof(got[i]));
		}
		exit(0);
	}
	for (int i = CALLS / 2; i < CALLS; i++)
		EXPECT_EQ(read_full(fds[0], got[i], sizeof(got[i])), sizeof(got[i]));
	wait4(-1, &status, 0);
	close(fds[0]);
	close(fds[1]);
	for (int i = 0; i < CALLS; i++)
		for (int w = 0; w < WORDS; w++) {
			ones[w] |= got[i][w];
			zeros[w] |= ~got[i][w];
			for (int j = 0; j < i; j++)
				EXPECT(got[i][w] != got[j][w]);
		}
	for (int w = 0; w < WORDS; w++)
		EXPECT(ones[w] == UINT64_MAX && zeros[w] == UINT64_MAX);
}

/* All 256 values, about equally often: with a mean of 256, 100 below or above is six deviations. */
static void test_values(void)
{
	static uint8_t buf[4 * LARGE];
	static uint32_t count[256];

	memset(count, 0, sizeof(count));
	EXPECT_EQ(getrandom(buf, sizeof(buf), 0), sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		count[buf[i]]++;
	for (int value = 0; value < 256; value++)
		EXPECT(count[value] > 156 && count[value] < 356);
}

/*
 * While a program computes, the tick finds the FPU usable; while the kernel encrypts, in use. Both
 * must be seen to happen.
 */
static void test_interrupts(void)
{
	struct tarry_stats before = counters(), now = before;

	if (!on_tarry())
		SKIP(NO_SUCH_CALL);
	while (now.entropy_vector == before.entropy_vector && now.ticks < before.ticks + 5000)
		now = counters();
	EXPECT(now.entropy_samples > before.entropy_samples);
	EXPECT(now.entropy_vector > before.entropy_vector);
	for (int way = 0; way < 2; way++) {
		before = now = counters();
		while (now.entropy_scalar == before.entropy_scalar && now.ticks < before.ticks + 20000) {
			compare_batch(20, TARRY_CRYPT_MAX_SIZE, ways[way]);
			now = counters();
		}
		EXPECT(now.entropy_scalar > before.entropy_scalar);
	}
	printf("# mixes in interrupts: %lu with vectors, %lu scalar\n", now.entropy_vector,
	       now.entropy_scalar);
}

static const struct ktap_test tests[] = {
	{ "RFC 8439 through the kernel", test_vectors }, { "batches", test_batches },
	{ "several callers", test_many }, { "wrong calls", test_errors },
	{ "the caller's registers", test_registers }, { "sections that cost nothing", test_sections },
	{ "a killed caller", test_kill }, { "getrandom: lengths", test_lengths },
	{ "getrandom: flags", test_flags }, { "getrandom: faults", test_fault },
	{ "getrandom: never the same", test_different }, { "getrandom: all values", test_values },
	{ "entropy in interrupts", test_interrupts },
};

KTAP_MAIN(tests)
