/*
 * The products of the tile instructions: C (m x n) += A (m x k) B (k x n), where an element is a 32-bit number in C, and
 * four bytes or two bfloat16 numbers in A and B (manual, volume 2, TDP...). The configuration has been checked.
 */
#include "fpu/amx.h"
#include "kernel/string.h"

static u32 element(const u8 *row, u32 i)
{
	u32 value;

	memcpy(&value, row + 4 * i, sizeof(value));
	return value;
}

static void set_element(u8 *row, u32 i, u32 value)
{
	memcpy(row + 4 * i, &value, sizeof(value));
}

static s32 byte_of(u32 element, u32 i, bool is_signed)
{
	u8 byte = (u8)(element >> 8 * i);

	return is_signed ? (s8)byte : byte;
}

static u32 four_products(u32 a, u32 b, bool signed1, bool signed2)
{
	s32 sum = 0;

	for (u32 i = 0; i < 4; i++)
		sum += byte_of(a, i, signed1) * byte_of(b, i, signed2);
	return (u32)sum;
}

/* Sums wrap around. */
static void dot_bytes(struct amx_registers *r, const struct amx_insn *insn, bool signed1, bool signed2)
{
	const struct amx_config *c = &r->config;

	for (u32 m = 0; m < c->rows[insn->tile]; m++)
		for (u32 n = 0; n < c->colsb[insn->tile] / 4u; n++) {
			u32 sum = element(r->tile[insn->tile][m], n);

			for (u32 k = 0; k < c->rows[insn->src2]; k++)
				sum += four_products(element(r->tile[insn->src1][m], k),
						     element(r->tile[insn->src2][k], n), signed1, signed2);
			set_element(r->tile[insn->tile][m], n, sum);
		}
}

/*
 * One element of C: the even products and the odd ones are summed apart, in the order of k, each with one rounding;
 * then both are added, and the sum to C.
 */
static u32 dot_bf16(const struct amx_registers *r, const struct amx_insn *insn, u32 m, u32 n)
{
	u32 even = 0, odd = 0;

	for (u32 k = 0; k < r->config.rows[insn->src2]; k++) {
		u32 a = element(r->tile[insn->src1][m], k), b = element(r->tile[insn->src2][k], n);

		even = amx_f32_fma(a << 16, b << 16, even);
		odd = amx_f32_fma(a & 0xffff0000, b & 0xffff0000, odd);
	}
	return amx_f32_add(element(r->tile[insn->tile][m], n), amx_f32_add(even, odd));
}

static void dot_rows_bf16(struct amx_registers *r, const struct amx_insn *insn)
{
	for (u32 m = 0; m < r->config.rows[insn->tile]; m++)
		for (u32 n = 0; n < r->config.colsb[insn->tile] / 4u; n++)
			set_element(r->tile[insn->tile][m], n, dot_bf16(r, insn, m, n));
}

/* What lies beyond the tile's rows and columns. */
static void clear_outside(struct amx_registers *r, u32 tile)
{
	u32 rows = r->config.rows[tile], colsb = r->config.colsb[tile];

	for (u32 row = 0; row < rows; row++)
		memset(r->tile[tile][row] + colsb, 0, AMX_COLSB - colsb);
	memset(r->tile[tile][rows], 0, (AMX_ROWS - rows) * AMX_COLSB);
}

void amx_compute(struct amx_registers *r, const struct amx_insn *insn)
{
	r->used = true;
	r->config.start_row = 0;
	if (insn->op == AMX_TILEZERO)
		memset(r->tile[insn->tile], 0, sizeof(r->tile[0]));
	else if (insn->op == AMX_TDPBF16PS)
		dot_rows_bf16(r, insn);
	else
		dot_bytes(r, insn, insn->op == AMX_TDPBSSD || insn->op == AMX_TDPBSUD,
			  insn->op == AMX_TDPBSSD || insn->op == AMX_TDPBUSD);
	clear_outside(r, insn->tile);
}
