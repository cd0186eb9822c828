/*
 * bench.h - what the two programs that time operations share: the time stamp, the shortest system
 * call, and the order of samples. Must not need the library or a vector register: one of the two
 * programs has neither.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#define UNKNOWN_CALL	500

static inline uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* A number and nothing else, so that what is counted is the kernel. */
static inline long bare_call(long nr)
{
	__asm__ volatile("syscall" : "+a"(nr) : : "rcx", "r11", "memory");
	return nr;
}

static inline void sort(uint32_t *a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint32_t value = a[i];
		size_t at = i;

		for (; at && a[at - 1] > value; at--)
			a[at] = a[at - 1];
		a[at] = value;
	}
}

#endif
