/*
 * What the instructions that the kernel executes for a program have in common: prefixes and the memory operand
 * (manual, volume 2, chapter 2). Pure code, the same in the kernel and in host tests: takes no byte for granted that
 * it has not been given.
 */
#ifndef KERNEL_DECODE_H
#define KERNEL_DECODE_H

#include "kernel/types.h"

#define MAX_INSN_LENGTH 15

/* Register numbers, as encodings have them, and two that are none of the sixteen. */
#define INSN_RSP 4
#define INSN_RBP 5
#define INSN_NO_REGISTER 16
#define INSN_RIP 17

enum insn_segment { SEGMENT_FLAT, SEGMENT_FS, SEGMENT_GS };

struct operand {
	u8 base, index, scale; /* the index is multiplied by 1 << scale */
	bool address32; /* addresses are cut to 32 bits */
	enum insn_segment segment;
	s64 displacement; /* with INSN_RIP from the instruction's first byte */
};
#define NO_OPERAND (struct operand){ .base = INSN_NO_REGISTER, .index = INSN_NO_REGISTER }

/* ModRM's fields; no memory operand where mod is MODRM_REGISTERS. */
#define MODRM_REGISTERS 3
#define MODRM_MOD(modrm) ((modrm) >> 6)
#define MODRM_REG(modrm) ((modrm) >> 3 & 7)
#define MODRM_RM(modrm) ((modrm) & 7)

/*
 * Segment and address-size prefixes: how many of the n bytes are such. CS, DS, ES and SS mean nothing in 64-bit mode.
 */
u32 decode_prefixes(const u8 *bytes, u32 n, struct operand *operand);

/*
 * The memory operand that ends the instruction; at is ModRM's place, which is among the n bytes, x and b are 8 where
 * the prefix extends the index and the base. 0 and the instruction's length, or the number of bytes that are needed
 * to go on.
 */
int decode_operand(const u8 *bytes, u32 n, u32 at, u8 x, u8 b, struct operand *operand, u32 *length);

/* ENQCMD, F2 0F 38 F8 /r, or ENQCMDS, F3 0F 38 F8 /r. */
struct enqcmd_insn {
	u32 length;
	bool supervisor; /* ENQCMDS */
	u8 destination; /* the register that holds the address */
	struct operand source;
};

/*
 * 0, -1 if it is neither or an invalid form of one (#UD), or the number of bytes that are needed to go on, which is
 * greater than n.
 */
int enqcmd_decode(const u8 *bytes, u32 n, struct enqcmd_insn *insn);

#endif
