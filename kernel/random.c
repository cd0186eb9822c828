/*
 * Random numbers: ChaCha20 with fast key erasure. Each request takes one block: half of it is the next key, half
 * the key for this request, so whoever reads the kernel's memory later can't compute what was given out
 * before. The key takes in a new seed from the pool now and then. A request's own key makes its bytes
 * outside the lock.
 */
#include "fpu/kernel.h"
#include "kernel/crypto/best.h"
#include "kernel/entropy.h"
#include "kernel/errno.h"
#include "kernel/random.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/uaccess.h"

#define GRND_NONBLOCK 1u
#define GRND_RANDOM 2u /* Linux's other, blocking source; here, as there now, the same one */

#define RESEED_SAMPLES 1000 /* about a second */
#define MAX_REQUEST 0x7ffff000ul /* Linux's largest transfer */
#define CHUNK 512 /* what a large request gets at a time: a group of the AVX2 form */

static struct spinlock lock; /* interrupts ask for random numbers too */
static u8 key[CHACHA20_KEY];
static u64 next_seed; /* number of samples at which the pool has something new */

static void reseed(void)
{
	u8 seed[ENTROPY_SEED];
	u64 flags, samples = entropy_counters().samples;

	if (next_seed > samples)
		return;
	entropy_extract(seed);
	flags = spin_lock_irq(&lock);
	next_seed = samples + RESEED_SAMPLES;
	for (u32 i = 0; i < sizeof(key); i++)
		key[i] ^= seed[i];
	spin_unlock_irq(&lock, flags);
	wipe(seed, sizeof(seed));
}

/* A cipher with a key that nobody has had or will have. */
static void take_cipher(struct chacha20 *cipher)
{
	static const u8 nonce[CHACHA20_NONCE];
	u8 block[CHACHA20_BLOCK];
	u64 flags;

	reseed();
	flags = spin_lock_irq(&lock);
	chacha20_init(cipher, key, nonce, 0);
	chacha20_block(cipher, block);
	memcpy(key, block, sizeof(key));
	spin_unlock_irq(&lock, flags);
	chacha20_init(cipher, block + sizeof(key), nonce, 0);
	wipe(block, sizeof(block));
}

static void fill(void *dst, size_t n, chacha20_xor_fn xor)
{
	struct chacha20 cipher;

	take_cipher(&cipher);
	memset(dst, 0, n);
	xor(&cipher, dst, dst, n);
	wipe(&cipher, sizeof(cipher));
}

void random_bytes(void *dst, size_t n)
{
	fill(dst, n, chacha20_xor);
}

u64 random_u64(void)
{
	u64 value;

	random_bytes(&value, sizeof(value));
	return value;
}

/* A section for a whole chunk; a few bytes are not worth displacing the program's registers. */
static void fill_chunk(u8 *dst, size_t n)
{
	if (n < CHUNK) {
		random_bytes(dst, n);
		return;
	}
	kernel_fpu_begin();
	fill(dst, n, crypto_best.xor);
	kernel_fpu_end();
}

static long wait_for_entropy(bool block)
{
	long error = 0;

	while (!error && !entropy_ready())
		error = block ? sleep_until(clock_ns() + NSEC_PER_TICK) : -EAGAIN;
	return error;
}

/* Ends early, with what there is, where the buffer ends or the task is killed. */
long sys_getrandom(u64 buf, size_t n, u32 flags)
{
	u8 chunk[CHUNK];
	size_t done = 0, now, left = 0;
	long error;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM))
		return -EINVAL;
	error = wait_for_entropy(!(flags & GRND_NONBLOCK));
	if (error)
		return error;
	n = MIN(n, MAX_REQUEST);
	while (done < n && !left && !task_killed()) {
		now = MIN(n - done, CHUNK);
		fill_chunk(chunk, now);
		left = copy_to_user_partial(buf + done, chunk, now);
		done += now - left;
	}
	wipe(chunk, sizeof(chunk));
	return done || !left ? (long)done : -EFAULT;
}
