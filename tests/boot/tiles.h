/*
 * tiles.h - what amx.c and amxstate.c share: the tile instructions, permission, and tiles full of a pattern. A compiler
 * leaves tiles alone, so that they stay what they are across any C code.
 */
#ifndef TILES_H
#define TILES_H

#include "signals.h"

enum {
	TILECFG = 17, TILEDATA = 18, TILES = 8, ROWS = 16, COLSB = 64, EOPNOTSUPP = 95,
	CONFIG_OFFSET = 2752, SIZE_WITHOUT = CONFIG_OFFSET + 64, SIZE_WITH = SIZE_WITHOUT + TILES * ROWS * COLSB,
	ILL_ILLOPC = 1, ILL_ILLOPN = 2, SI_KERNEL = 0x80,
};
#define TILE_BITS	(1ul << TILECFG | 1ul << TILEDATA)

struct config {
	uint8_t palette, start_row, reserved[14];
	uint16_t colsb[16];
	uint8_t rows[16];
};

static const struct config whole = {
	.palette = 1, .colsb = { 64, 64, 64, 64, 64, 64, 64, 64 }, .rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
};

typedef uint8_t tile_bytes[ROWS][COLSB];

static inline void ldtilecfg(const struct config *config)
{
	__asm__ volatile("ldtilecfg %0" : : "m"(*config));
}

static inline struct config sttilecfg(void)
{
	struct config config;

	__asm__ volatile("sttilecfg %0" : "=m"(config));
	return config;
}

static inline void tilerelease(void)
{
	__asm__ volatile("tilerelease");
}

#define TILEZERO(n)		__asm__ volatile("tilezero %tmm" #n)
#define TILELOAD(n, from, stride)					\
	__asm__ volatile("tileloadd (%0,%1), %%tmm" #n : : "r"(from), "r"((long)(stride)) : "memory")
#define TILESTORE(n, to, stride)					\
	__asm__ volatile("tilestored %%tmm" #n ", (%0,%1)" : : "r"(to), "r"((long)(stride)) : "memory")

#define EACH_TILE(op, base)						\
	op(0, (base)[0], COLSB); op(1, (base)[1], COLSB); op(2, (base)[2], COLSB); op(3, (base)[3], COLSB);	\
	op(4, (base)[4], COLSB); op(5, (base)[5], COLSB); op(6, (base)[6], COLSB); op(7, (base)[7], COLSB)

static tile_bytes pattern[TILES], stored[TILES];

static inline void make_tiles(uint32_t seed)
{
	uint8_t *byte = &pattern[0][0][0];

	for (size_t i = 0; i < sizeof(pattern); i++) {
		seed = seed * 1664525 + 1013904223;
		byte[i] = (uint8_t)(seed >> 24);
	}
}

static inline void load_tiles(uint32_t seed)
{
	make_tiles(seed);
	ldtilecfg(&whole);
	EACH_TILE(TILELOAD, pattern);
}

static inline int tiles_are_pattern(void)
{
	struct config now = sttilecfg();

	if (memcmp(&now, &whole, sizeof(now)))
		return 0;
	memset(stored, 0, sizeof(stored));
	EACH_TILE(TILESTORE, stored);
	return !memcmp(stored, pattern, sizeof(stored));
}

static inline uint64_t components(int command)
{
	uint64_t mask = 0;

	EXPECT_EQ(syscall2(SYS_arch_prctl, command, &mask), 0);
	return mask;
}

static inline int has_tiles(void)
{
	uint64_t mask = 0;

	syscall2(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &mask);
	return (mask & TILE_BITS) == TILE_BITS;
}

static inline long ask_for_tiles(void)
{
	return syscall2(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA);
}

#define NEED_TILES() do {						\
	if (!has_tiles())						\
		SKIP("no tiles: native, and the CPU has none");	\
} while (0)

/* The test in a child of its own that may use tiles, so that its permission and its tiles end with it. */
#define IN_CHILD(f) do {						\
	NEED_TILES();							\
	EXPECT_EQ(ktap_child(f), 0);					\
} while (0)

#endif
