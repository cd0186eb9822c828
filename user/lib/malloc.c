/*
 * malloc.c - memory for small programs: one list of blocks in address order on top of
 * brk, first fit, neighbours merged when freed. It must never be used by two threads at
 * once: there is no lock.
 */
#include <lib.h>

struct block {			/* header before the bytes; both are multiples of 16 */
	size_t size;		/* of the bytes after the header */
	struct block *next;	/* next free block, only while free */
};

static struct block *free_list;

static struct block *grow(size_t size)
{
	size_t want = (size + sizeof(struct block) + 0xffff) & ~0xffffUL;
	long old = brk(NULL);
	struct block *b = (struct block *)((old + 15) & ~15L);

	if (brk((char *)b + want) != (long)b + (long)want)
		return NULL;
	b->size = want - sizeof(*b);
	return b;
}

static void join_with_next(struct block *b)
{
	if (b->next && (char *)(b + 1) + b->size == (char *)b->next) {
		b->size += sizeof(*b) + b->next->size;
		b->next = b->next->next;
	}
}

void free(void *p)
{
	struct block *b = (struct block *)p - 1, **at = &free_list, *before = NULL;

	if (!p)
		return;
	for (; *at && *at < b; at = &(*at)->next)
		before = *at;
	b->next = *at;
	*at = b;
	join_with_next(b);
	if (before)
		join_with_next(before);
}

static struct block *take(size_t size)
{
	for (struct block **at = &free_list; *at; at = &(*at)->next) {
		struct block *b = *at;

		if (b->size < size)
			continue;
		if (b->size >= size + 2 * sizeof(*b)) {		/* split: the rest stays free */
			struct block *rest = (struct block *)((char *)(b + 1) + size);

			rest->size = b->size - size - sizeof(*b);
			rest->next = b->next;
			b->size = size;
			*at = rest;
		} else {
			*at = b->next;
		}
		return b;
	}
	return NULL;
}

void *malloc(size_t n)
{
	size_t size = (n + 15) & ~15UL;
	struct block *b;

	if (size < n || size > 1UL << 40)
		return NULL;
	b = take(size);
	if (!b) {
		b = grow(size);
		if (!b)
			return NULL;
		free(b + 1);
		b = take(size);
	}
	return b + 1;
}

void *calloc(size_t count, size_t n)
{
	size_t size;
	void *p;

	if (__builtin_mul_overflow(count, n, &size))
		return NULL;
	p = malloc(size);
	return p ? memset(p, 0, size) : NULL;
}

void *realloc(void *p, size_t n)
{
	size_t old = p ? ((struct block *)p - 1)->size : 0;
	void *q;

	if (p && n <= old)
		return p;
	q = malloc(n);
	if (q && p) {
		memcpy(q, p, old);
		free(p);
	}
	return q;
}
