/*
 * components.h - the components of the extended state beyond x87 and SSE, one by one: as XSAVE and XRSTOR see them,
 * with values that every CPU takes, and through Tarry's update call.
 */
#ifndef COMPONENTS_H
#define COMPONENTS_H

#include <xstate.h>
#include "ktap.h"

enum { AVX = 2, PKRU = 9, PASID = 10, CET_U = 11, LAST_COMPONENT = 18 };
#define VALUE_SIZE	8192

struct image {
	uint8_t legacy[512];
	uint64_t xstate_bv, header[7];
	uint8_t rest[VALUE_SIZE + 3072];
} __attribute__((aligned(64)));

static inline uint64_t user_components(void)
{
	return (cpuid(1, 0).ecx >> 27 & 1) ? xgetbv(0) & ~3ul : 0;
}

static inline uint32_t component_size(uint32_t c)
{
	return c == PASID ? 8 : c == CET_U ? 16 : cpuid(13, c).eax;
}

static inline uint8_t *component_in(struct image *image, uint32_t c)
{
	return (uint8_t *)image + cpuid(13, c).ebx;
}

static inline void xsave(struct image *image, uint64_t mask)
{
	__asm__ volatile("xsave64 %0" : "+m"(*image) : "a"((uint32_t)mask), "d"(0) : "memory");
}

static inline void xrstor(const struct image *image, uint64_t mask)
{
	__asm__ volatile("xrstor64 %0" : : "m"(*image), "a"((uint32_t)mask), "d"(0) : "memory");
}

/* PKRU never closes key 0; the supervisor components have no reserved bits. */
static inline void make_value(uint8_t *value, uint32_t c, uint32_t seed)
{
	uint64_t *words = (uint64_t *)value;

	memset(value, (int)(seed * 37 + c) | 1, component_size(c));
	if (c == PKRU)
		words[0] = (seed * 0x9e3779b9u) & ~3u;
	else if (c == PASID)
		words[0] = 0x80000000 | (seed & 0xfffff);
	else if (c == CET_U)
		words[0] = 0, words[1] = seed * 8ul;
}

/* No value: only the one before is asked for. No old: it is not. */
static inline long set(long tid, uint32_t c, const void *value, void *old)
{
	struct tarry_update call = { (int32_t)tid, c, component_size(c), 0, (uint64_t)value, (uint64_t)old };

	return update(&call);
}

#endif
