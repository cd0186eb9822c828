/* Tile configuration, and the instructions that need no arithmetic; see amx.h. Must never index by an unchecked row. */
#include "fpu/amx.h"
#include "kernel/string.h"

#define PALETTES 1
#define ELEMENT 4 /* bytes; a row holds whole ones wherever tile data are touched */

/* With palette 0 the rest of the image is not looked at. */
bool amx_config_valid(const struct amx_config *c)
{
	if (c->palette > PALETTES || (c->palette && !all_zero(c->reserved, sizeof(c->reserved))))
		return false;
	for (u32 i = 0; c->palette && i < ARRAY_SIZE(c->rows); i++) {
		if (i >= AMX_TILES && (c->colsb[i] || c->rows[i]))
			return false;
		if (c->colsb[i] > AMX_COLSB || c->rows[i] > AMX_ROWS || !c->colsb[i] != !c->rows[i])
			return false;
	}
	return true;
}

static bool valid(const struct amx_registers *r, u32 tile)
{
	return r->config.rows[tile];
}

/* The tile exists and its rows hold whole elements. */
static bool whole(const struct amx_registers *r, u32 tile)
{
	return valid(r, tile) && r->config.colsb[tile] % ELEMENT == 0;
}

/* A (m x k) times B (k x n) fits C (m x n), and all three are different (exception class AMX-E4). */
static bool product_allowed(const struct amx_config *c, u32 dest, u32 a, u32 b)
{
	return dest != a && dest != b && a != b && c->rows[dest] == c->rows[a] && c->colsb[dest] == c->colsb[b] &&
	       c->colsb[a] / ELEMENT == c->rows[b];
}

bool amx_allowed(const struct amx_registers *r, const struct amx_insn *insn)
{
	switch (insn->op) {
	case AMX_LDTILECFG:
	case AMX_STTILECFG:
	case AMX_TILERELEASE:
		return true;
	case AMX_TILEZERO:
		return amx_configured(r) && valid(r, insn->tile);
	case AMX_TILELOADD:
	case AMX_TILESTORED:
		return amx_configured(r) && whole(r, insn->tile) && r->config.start_row < r->config.rows[insn->tile];
	default:
		return amx_configured(r) && whole(r, insn->tile) && whole(r, insn->src1) && whole(r, insn->src2) &&
		       product_allowed(&r->config, insn->tile, insn->src1, insn->src2);
	}
}

void amx_release(struct amx_registers *r)
{
	memset(&r->config, 0, sizeof(r->config));
	if (r->used)
		memset(r->tile, 0, sizeof(r->tile));
	r->used = false;
}

void amx_configure(struct amx_registers *r, const struct amx_config *config)
{
	amx_release(r);
	if (config->palette)
		r->config = *config;
}

void amx_load_start(struct amx_registers *r, u32 tile)
{
	u32 start = r->config.start_row;

	r->used = true;
	memset(r->tile[tile][start], 0, (AMX_ROWS - start) * AMX_COLSB);
}

bool amx_row_done(struct amx_registers *r, u32 tile)
{
	if (++r->config.start_row == r->config.rows[tile])
		r->config.start_row = 0;
	return r->config.start_row;
}
