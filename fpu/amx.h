/*
 * AMX in software: the tile registers of one CPU and what the tile instructions do to them (manual, volume 1, chapter
 * 18, and volume 2). Pure code, the same in the kernel and in host tests; integers only. Knows nothing of tasks, user
 * memory or XFD: amx.c brings these together.
 */
#ifndef FPU_AMX_H
#define FPU_AMX_H

#include "kernel/decode.h"

#define AMX_TILES 8
#define AMX_ROWS 16
#define AMX_COLSB 64 /* bytes in a row */

/* TILECFG as it lies in memory. Tiles from AMX_TILES on do not exist: their fields are reserved, too. */
struct amx_config {
	u8 palette; /* 0: tiles are not configured */
	u8 start_row; /* where an interrupted load or store goes on */
	u8 reserved[14];
	u16 colsb[16];
	u8 rows[16];
};
_Static_assert(sizeof(struct amx_config) == 64, "the manual's layout");

struct amx_registers {
	struct amx_config config;
	u8 tile[AMX_TILES][AMX_ROWS][AMX_COLSB];
	bool used; /* XINUSE[18]: a tile has been written since all were initial, as silicon has it */
};

enum amx_op {
	AMX_LDTILECFG, AMX_STTILECFG, AMX_TILERELEASE, AMX_TILEZERO, AMX_TILELOADD, AMX_TILESTORED,
	AMX_TDPBSSD, AMX_TDPBSUD, AMX_TDPBUSD, AMX_TDPBUUD, AMX_TDPBF16PS,
};

struct amx_insn {
	enum amx_op op;
	u32 length;
	u8 tile, src1, src2; /* tile: the one that is loaded, stored or accumulated in */
	struct operand memory;
};

/*
 * Decodes one instruction of 64-bit mode out of n bytes. 0, -1 if it is no tile instruction or an invalid form of
 * one (#UD), or the number of bytes that are needed to go on, which is greater than n.
 */
int amx_decode(const u8 *bytes, u32 n, struct amx_insn *insn);

/* True for those that XFD[18] disables: all that touch tile data but TILERELEASE and LDTILECFG, which clear it. */
static inline bool amx_uses_data(enum amx_op op)
{
	return op >= AMX_TILEZERO;
}

static inline bool amx_configured(const struct amx_registers *r)
{
	return r->config.palette;
}

/* False where LDTILECFG raises #GP, and where XRSTOR makes TILECFG initial instead of loading it. */
bool amx_config_valid(const struct amx_config *config);

/* False: #UD. Encoding and configuration don't fit the instruction. */
bool amx_allowed(const struct amx_registers *r, const struct amx_insn *insn);

/* LDTILECFG of a valid image, TILERELEASE: tile data become initial. */
void amx_configure(struct amx_registers *r, const struct amx_config *config);
void amx_release(struct amx_registers *r);

/*
 * TILELOADD and TILESTORED go row by row, from start_row on, so that whatever comes between two rows finds registers
 * from which the instruction can be begun again. A load starts by clearing the rows that are to come. amx_row is the
 * row that start_row names; its first colsb bytes are moved. amx_row_done goes on to the next: false after the last
 * one, when start_row is 0 again.
 */
void amx_load_start(struct amx_registers *r, u32 tile);
static inline u8 *amx_row(struct amx_registers *r, u32 tile)
{
	return r->tile[tile][r->config.start_row];
}
bool amx_row_done(struct amx_registers *r, u32 tile);

/* amx_dot.c: TILEZERO and the products. What lies beyond the tile's rows and columns becomes zero. */
void amx_compute(struct amx_registers *r, const struct amx_insn *insn);

/* amx_float.c: single precision, denormals are zero before and after, round to nearest even, no exceptions. */
u32 amx_f32_fma(u32 a, u32 b, u32 c); /* a * b + c, rounded once */
u32 amx_f32_add(u32 a, u32 b);

#endif
