/*
 * The entropy pool: what the moments of interrupts, and RDRAND, have that nobody can predict. Samples are XORed
 * in one after the other; when each word has had one, the pool is encrypted with ChaCha20, the key being one
 * piece of the pool itself, each time the next one. That can't be run backwards without that piece, which has
 * changed too. Each CPU counts its own ticks for that: if they shared a count, CPUs whose ticks alternate would
 * leave all the work to one of them.
 *
 * Interrupts do the mixing, so here an FPU section begins wherever the tick happens to come: with the vector
 * form where irq_fpu_usable() says so, with the scalar one inside somebody else's section or under
 * fpregs_lock. Not at every tick, since each section that interrupts a program costs that program a save and
 * a load.
 *
 * The lock is taken in interrupts: everybody else turns them off, and does little, under it.
 */
#include "fpu/kernel.h"
#include "kernel/crypto/best.h"
#include "kernel/entropy.h"
#include "kernel/insn.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"

#define CPUID1_ECX_RDRAND BIT(30)

#define POOL_SIZE 256 /* a group of the SSE2 form */
#define PIECES (POOL_SIZE / CHACHA20_KEY)
#define WORDS (POOL_SIZE / 8)
#define ENOUGH_SAMPLES 256 /* without RDRAND: counting one bit for each */

struct pool {
	union {
		u8 byte[POOL_SIZE];
		u64 word[WORDS];
	};
	u64 mixes;
};

static struct pool pool;
static struct spinlock lock; /* guards pool and counters */
static struct entropy_counters counters;
static bool has_rdrand;

/* Encrypts the pool with its next piece; the number of the mix is the nonce, so none comes twice. */
static void mix(struct pool *p, chacha20_xor_fn xor)
{
	struct chacha20 cipher;
	u8 nonce[CHACHA20_NONCE] = { 0 };

	store_u64(nonce, p->mixes);
	chacha20_init(&cipher, p->byte + p->mixes % PIECES * CHACHA20_KEY, nonce, 0);
	xor(&cipher, p->byte, p->byte, POOL_SIZE);
	p->mixes++;
	wipe(&cipher, sizeof(cipher));
}

/* True if it is time to mix. */
static bool absorb(u64 sample)
{
	u64 flags = spin_lock_irq(&lock);
	u64 number = counters.samples++;

	pool.word[number % WORDS] ^= sample;
	spin_unlock_irq(&lock, flags);
	return !(this_cpu->ticks % WORDS);
}

static void mix_pool(chacha20_xor_fn xor, u64 *counter)
{
	u64 flags = spin_lock_irq(&lock);

	mix(&pool, xor);
	++*counter;
	spin_unlock_irq(&lock, flags);
}

void entropy_mix_irq(u64 sample)
{
	if (!absorb(sample))
		return;
	if (irq_fpu_usable()) {
		kernel_fpu_begin();
		mix_pool(crypto_best.xor, &counters.vector_mixes);
		kernel_fpu_end();
	} else {
		mix_pool(chacha20_xor, &counters.scalar_mixes);
	}
}

bool entropy_ready(void)
{
	return has_rdrand || counters.samples >= ENOUGH_SAMPLES;
}

void entropy_extract(u8 *seed)
{
	u64 flags = spin_lock_irq(&lock);
	struct pool copy = pool;

	mix(&pool, chacha20_xor); /* away from what the seed is made of */
	spin_unlock_irq(&lock, flags);
	for (u32 i = 0; i < PIECES; i++) /* after every piece has been the key, all depends on all */
		mix(&copy, chacha20_xor);
	memcpy(seed, copy.byte, ENTROPY_SEED);
	wipe(&copy, sizeof(copy));
}

struct entropy_counters entropy_counters(void)
{
	return counters;
}

static bool rdrand(u64 *value)
{
	bool valid;

	asm volatile("rdrand %0" : "=r"(*value), "=@ccc"(valid));
	return valid;
}

void entropy_init(void)
{
	u32 valid = 0;
	u64 value;

	for (u32 i = 0; i < WORDS; i++) {
		pool.word[i] ^= rdtsc();
		if (cpuid(1, 0).ecx & CPUID1_ECX_RDRAND && rdrand(&value)) {
			pool.word[i] ^= value;
			valid++;
		}
	}
	has_rdrand = valid >= ENTROPY_SEED / 8;
	mix(&pool, chacha20_xor);
}
