/*
 * The encodings of the tile instructions: VEX.128.0F38.W0 with opcodes 49h, 4Bh, 5Ch and 5Eh (manual, volume 2). Must
 * take no byte for granted that it has not been given, and accept nothing that a CPU with AMX refuses.
 */
#include "fpu/amx.h"

#define VEX3 0xc4
#define VEX_R 0x80 /* R, X and B are stored inverted */
#define VEX_X 0x40
#define VEX_B 0x20
#define VEX_MAP 0x1f
#define MAP_0F38 2
#define VEX_W 0x80
#define VEX_L 0x04

enum { PP_NONE, PP_66, PP_F3, PP_F2 };

struct encoding {
	u8 opcode, pp;
	bool registers; /* mod is 3 */
	enum amx_op op;
};

static const struct encoding encodings[] = {
	{ 0x49, PP_NONE, false, AMX_LDTILECFG },  { 0x49, PP_66, false, AMX_STTILECFG },
	{ 0x49, PP_NONE, true, AMX_TILERELEASE }, { 0x49, PP_F2, true, AMX_TILEZERO },
	{ 0x4b, PP_F2, false, AMX_TILELOADD },	  { 0x4b, PP_66, false, AMX_TILELOADD }, /* TILELOADDT1 */
	{ 0x4b, PP_F3, false, AMX_TILESTORED },	  { 0x5c, PP_F3, true, AMX_TDPBF16PS },
	{ 0x5e, PP_F2, true, AMX_TDPBSSD },	  { 0x5e, PP_F3, true, AMX_TDPBSUD },
	{ 0x5e, PP_66, true, AMX_TDPBUSD },	  { 0x5e, PP_NONE, true, AMX_TDPBUUD },
};

/* VEX and ModRM, taken apart; vvvv as it is meant: 0 where the encoding names no register. */
struct fields {
	u8 opcode, pp, vvvv, mod, reg, rm;
	u8 r, x, b; /* 8 or 0: the fourth bit of a register's number */
};

static const struct encoding *find(const struct fields *f)
{
	for (u32 i = 0; i < ARRAY_SIZE(encodings); i++)
		if (encodings[i].opcode == f->opcode && encodings[i].pp == f->pp &&
		    encodings[i].registers == (f->mod == MODRM_REGISTERS))
			return &encodings[i];
	return NULL;
}

/* The operands' part that is in ModRM.reg, ModRM.rm of registers, and VEX.vvvv. False: no such instruction. */
static bool take_registers(struct amx_insn *insn, const struct fields *f)
{
	bool product = insn->op >= AMX_TDPBSSD;

	if (insn->op == AMX_LDTILECFG || insn->op == AMX_STTILECFG || insn->op == AMX_TILERELEASE) {
		if (f->reg)
			return false;
	} else {
		insn->tile = f->reg | f->r;
	}
	if ((insn->op == AMX_TILERELEASE || insn->op == AMX_TILEZERO) && f->rm)
		return false;
	if (product) {
		insn->src1 = f->rm | f->b;
		insn->src2 = f->vvvv;
	}
	return product ? insn->src1 < AMX_TILES && insn->src2 < AMX_TILES && insn->tile < AMX_TILES :
			 !f->vvvv && insn->tile < AMX_TILES;
}

static bool wants_sib(enum amx_op op)
{
	return op == AMX_TILELOADD || op == AMX_TILESTORED;
}

int amx_decode(const u8 *bytes, u32 n, struct amx_insn *insn)
{
	const struct encoding *encoding;
	struct fields f;
	u32 at;
	int more;

	*insn = (struct amx_insn){ .memory = NO_OPERAND };
	at = decode_prefixes(bytes, n, &insn->memory); /* no other goes with VEX */
	if (at < n && bytes[at] != VEX3)
		return -1;
	if (n < at + 5)
		return (int)at + 5 > MAX_INSN_LENGTH ? -1 : (int)at + 5;
	f = (struct fields){
		.opcode = bytes[at + 3], .pp = bytes[at + 2] & 3, .vvvv = ~(bytes[at + 2] >> 3) & 15,
		.mod = MODRM_MOD(bytes[at + 4]), .reg = MODRM_REG(bytes[at + 4]), .rm = MODRM_RM(bytes[at + 4]),
		.r = bytes[at + 1] & VEX_R ? 0 : 8, .x = bytes[at + 1] & VEX_X ? 0 : 8,
		.b = bytes[at + 1] & VEX_B ? 0 : 8,
	};
	encoding = find(&f);
	if ((bytes[at + 1] & VEX_MAP) != MAP_0F38 || bytes[at + 2] & (VEX_W | VEX_L) || !encoding)
		return -1;
	insn->op = encoding->op;
	insn->length = at + 5;
	if (!take_registers(insn, &f) || (wants_sib(insn->op) && f.rm != INSN_RSP))
		return -1;
	more = encoding->registers ? 0 : decode_operand(bytes, n, at + 4, f.x, f.b, &insn->memory, &insn->length);
	return more > MAX_INSN_LENGTH || insn->length > MAX_INSN_LENGTH ? -1 : more;
}
