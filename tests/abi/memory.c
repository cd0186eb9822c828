/*
 * memory.c - everything that wants memory: malloc in all sizes, realloc, a big bss, mmap, a deep
 * stack, and a sort. Each block is filled with a pattern of its own and checked before it is given
 * back.
 */
#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCKS 600
#define BIG (48ul << 20)
#define SORTED 100000
#define FRAME 4096
#define DEPTH (7 * 1024 * 1024 / (FRAME + 256))

static uint64_t seed = 88172645463325252;
static unsigned char big[BIG];
static uint32_t numbers[SORTED];

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static int intact(const unsigned char *block, size_t n, unsigned char value)
{
	while (n--)
		if (*block++ != value)
			return 0;
	return 1;
}

static size_t random_size(void)
{
	uint64_t kind = next() % 20;

	return next() % (kind == 0 ? 300000 : kind < 4 ? 10000 : 200);
}

static void blocks(void)
{
	static struct {
		unsigned char *at;
		size_t size;
	} held[BLOCKS];
	int bad = 0, misaligned = 0;

	for (int round = 0; round < 20000; round++) {
		int i = next() % BLOCKS;
		size_t size = random_size(), kept = size < held[i].size ? size : held[i].size;

		bad += !intact(held[i].at, held[i].size, (unsigned char)i);
		if (held[i].at && next() % 3 == 0 && size) {
			held[i].at = realloc(held[i].at, size);
			bad += !intact(held[i].at, kept, (unsigned char)i);
		} else {
			free(held[i].at);
			held[i].at = next() % 4 ? malloc(size) : calloc(1, size);
		}
		if (!held[i].at)
			size = 0;
		misaligned += (uintptr_t)held[i].at % 16 != 0;
		held[i].size = size;
		memset(held[i].at, i, size);
	}
	for (int i = 0; i < BLOCKS; i++) {
		bad += !intact(held[i].at, held[i].size, (unsigned char)i);
		free(held[i].at);
	}
	printf("blocks: %d bad, %d misaligned\n", bad, misaligned);
}

static void clean(void)
{
	unsigned char *page = calloc(1000, 1000);
	void *aligned[3];
	int odd = 0;

	printf("calloc clean: %d\n", intact(page, 1000000, 0));
	free(page);
	for (int i = 0; i < 3; i++) {
		odd += posix_memalign(&aligned[i], 64ul << (4 * i), 1000) != 0;
		odd += (uintptr_t)aligned[i] % (64ul << (4 * i)) != 0;
	}
	printf("aligned: %d odd\n", odd);
	printf("too much: %d\n", malloc(1ul << 62) != NULL);
}

static void big_bss(void)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < BIG; i += 4096)
		sum += big[i] + big[i + 4095];
	for (size_t i = 0; i < BIG; i += 65536)
		big[i + 5] = (unsigned char)(i >> 16);
	for (size_t i = 0; i < BIG; i += 4096)
		sum += big[i + 5];
	printf("bss: %u\n", sum);
}

static void mappings(void)
{
	unsigned char *at = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		      *again;
	void *end = sbrk(0);

	memset(at, 7, 16 * 4096);
	munmap(at + 4 * 4096, 4 * 4096);
	again = mmap(at + 4 * 4096, 4 * 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	printf("hole: same place %d, clean %d, rest %d %d\n", again == at + 4 * 4096,
	       intact(again, 4 * 4096, 0), intact(at, 4 * 4096, 7),
	       intact(at + 8 * 4096, 8 * 4096, 7));
	printf("mprotect %d\n", mprotect(at, 4096, PROT_READ));
	printf("mprotect %d\n", mprotect(at, 4096, PROT_READ | PROT_WRITE));
	at[0] = 8;
	printf("brk: %d\n", sbrk(100000) == end && intact(end, 100000, 0));
	munmap(at, 16 * 4096);
}

static uint64_t deep(int depth)
{
	volatile unsigned char frame[FRAME];
	uint64_t below;

	frame[0] = (unsigned char)depth;
	frame[FRAME - 1] = 1;
	below = depth ? deep(depth - 1) : 0;
	return below + frame[0] + frame[FRAME - 1];
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void sort(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < SORTED; i++)
		numbers[i] = (uint32_t)next();
	qsort(numbers, SORTED, sizeof(numbers[0]), by_value);
	for (int i = 0; i < SORTED; i++)
		sum = sum * 31 + numbers[i] + (i && numbers[i - 1] > numbers[i]);
	printf("sorted: %lx\n", (unsigned long)sum);
}

static void big_frame(void)
{
	unsigned char *frame =
		alloca(1 << 20); /* the stack grows by a megabyte at once, top down */

	memset(frame, 3, 1 << 20);
	printf("alloca: %d\n", intact(frame, 1 << 20, 3));
}

int main(void)
{
	blocks();
	clean();
	big_bss();
	mappings();
	big_frame();
	printf("deep: %lu\n", (unsigned long)deep(DEPTH));
	sort();
	return 0;
}
