/* The C string functions that the kernel uses, with their usual meaning. */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include "kernel/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
const char *strchr(const char *s, char c);

/* Copies at most size - 1 characters and always ends dst with NUL. */
void copy_string(char *dst, const char *src, size_t size);

/* Decimal number at s; *end is the first character that is not part of it. */
u64 parse_number(const char *s, const char **end);

static inline bool all_zero(const void *data, size_t n)
{
	const u8 *byte = data;
	u64 word;

	for (; n >= sizeof(word); n -= sizeof(word), byte += sizeof(word)) {
		__builtin_memcpy(&word, byte, sizeof(word));
		if (word)
			return false;
	}
	for (; n; n--, byte++)
		if (*byte)
			return false;
	return true;
}

static inline void clear_page(void *page)
{
	u64 n = 512;
	asm volatile("rep stosq" : "+D"(page), "+c"(n) : "a"(0ul) : "memory");
}

static inline void copy_page(void *dst, const void *src)
{
	u64 n = 512;
	asm volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
}

#endif
