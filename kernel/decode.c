/* Prefixes, memory operands, and ENQCMD; see decode.h. */
#include "kernel/decode.h"

#define PREFIX_FS 0x64
#define PREFIX_GS 0x65
#define PREFIX_OPERAND 0x66
#define PREFIX_ADDRESS 0x67
#define PREFIX_F2 0xf2
#define PREFIX_F3 0xf3
#define REX 0x40 /* to 4Fh */
#define REX_R 4
#define REX_X 2
#define REX_B 1

u32 decode_prefixes(const u8 *bytes, u32 n, struct operand *operand)
{
	u32 at = 0;

	for (; at < n; at++) {
		switch (bytes[at]) {
		case PREFIX_FS:
			operand->segment = SEGMENT_FS;
			break;
		case PREFIX_GS:
			operand->segment = SEGMENT_GS;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			operand->segment = SEGMENT_FLAT;
			break;
		case PREFIX_ADDRESS:
			operand->address32 = true;
			break;
		default:
			return at;
		}
	}
	return at;
}

int decode_operand(const u8 *bytes, u32 n, u32 at, u8 x, u8 b, struct operand *operand, u32 *length)
{
	u8 mod = MODRM_MOD(bytes[at]), base = MODRM_RM(bytes[at]);
	u32 size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	bool sib = base == INSN_RSP;

	at++;
	if (sib && n <= at)
		return (int)at + 1;
	if (sib) {
		operand->scale = bytes[at] >> 6;
		operand->index = (bytes[at] >> 3 & 7) | x;
		if (operand->index == INSN_RSP)
			operand->index = INSN_NO_REGISTER;
		base = bytes[at++] & 7;
	}
	operand->base = base | b;
	if (!mod && base == INSN_RBP) {
		operand->base = sib ? INSN_NO_REGISTER : INSN_RIP;
		size = 4;
	}
	if (n < at + size)
		return (int)(at + size);
	if (size == 1)
		operand->displacement = (s8)bytes[at];
	if (size == 4)
		operand->displacement = (s32)(bytes[at] | (u32)bytes[at + 1] << 8 | (u32)bytes[at + 2] << 16 |
					      (u32)bytes[at + 3] << 24);
	*length = at + size;
	if (operand->base == INSN_RIP)
		operand->displacement += *length;
	return 0;
}

/*
 * All that may stand before the opcode but LOCK. Of F2 and F3 the last one counts, and REX right before the opcode.
 */
static u32 take_prefixes(const u8 *bytes, u32 n, struct operand *operand, u8 *mandatory, u8 *rex)
{
	u32 at = 0, skipped;

	for (*mandatory = *rex = 0; at < n; at++) {
		skipped = decode_prefixes(bytes + at, n - at, operand);
		at += skipped;
		if (skipped)
			*rex = 0;
		if (at == n)
			break;
		if (bytes[at] == PREFIX_F2 || bytes[at] == PREFIX_F3)
			*mandatory = bytes[at];
		else if (bytes[at] != PREFIX_OPERAND && (bytes[at] & 0xf0) != REX)
			break;
		*rex = (bytes[at] & 0xf0) == REX ? bytes[at] : 0;
	}
	return at;
}

int enqcmd_decode(const u8 *bytes, u32 n, struct enqcmd_insn *insn)
{
	static const u8 opcode[] = { 0x0f, 0x38, 0xf8 };
	u8 mandatory, rex;
	u32 at;
	int more;

	*insn = (struct enqcmd_insn){ .source = NO_OPERAND };
	at = take_prefixes(bytes, n, &insn->source, &mandatory, &rex);
	for (u32 i = 0; i < sizeof(opcode); i++, at++)
		if (at < n && (bytes[at] != opcode[i] || !mandatory))
			return -1;
	if (n <= at)
		return at < MAX_INSN_LENGTH ? (int)at + 1 : -1;
	if (MODRM_MOD(bytes[at]) == MODRM_REGISTERS)
		return -1;
	insn->supervisor = mandatory == PREFIX_F3;
	insn->destination = MODRM_REG(bytes[at]) | (rex & REX_R ? 8 : 0);
	more = decode_operand(bytes, n, at, rex & REX_X ? 8 : 0, rex & REX_B ? 8 : 0, &insn->source, &insn->length);
	return more > MAX_INSN_LENGTH || insn->length > MAX_INSN_LENGTH ? -1 : more;
}
