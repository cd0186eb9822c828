/*
 * rare.h - registers that few programs use, for the programs that show them: one tile of AMX, and a guest that
 * computes. Nothing here checks anything.
 */
#ifndef RARE_H
#define RARE_H

#include <lib.h>

enum { TILEDATA = 18, TILE_BYTES = 64 };

/* Leave to use tiles, for the whole process. */
static inline long request_tiles(void)
{
	return syscall2(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA);
}

/* One row of 64 bytes goes into a tile, and stays there until tilerelease. */
static inline void load_tile(const void *row)
{
	static const struct {
		uint8_t palette, start_row, reserved[14];
		uint16_t colsb[16];
		uint8_t rows[16];
	} config = { .palette = 1, .colsb = { TILE_BYTES }, .rows = { 1 } };

	__asm__ volatile("ldtilecfg %0\n\ttileloadd (%1,%2), %%tmm0" : : "m"(config), "r"(row), "r"(0l) : "memory");
}

static inline void store_tile(void *row)
{
	__asm__ volatile("tilestored %%tmm0, (%0,%1)" : : "r"(row), "r"(0l) : "memory");
}

static inline void tilerelease(void)
{
	__asm__ volatile("tilerelease");
}

/* What guest and owner both see. */
struct guest_sum {
	double value, factor;	/* value = value * factor, `steps` times; after each step the guest asks for the time */
};

/* A guest that does so, made of a page of code and the page at `sum`, a shared mapping; or an error. */
long make_guest(struct guest_sum *sum);

/* Runs it to its end: TARRY_VCPU_..., or an error. Meanwhile *kept is in the caller's XMM15, and it is read back. */
long run_guest(long guest, uint64_t steps, double *kept);

#endif
