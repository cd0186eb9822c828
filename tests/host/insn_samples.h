/*
 * insn_samples.h - for the tests of decoders: what the assembler makes of an instruction, and what a memory operand
 * must have become.
 */
#ifndef INSN_SAMPLES_H
#define INSN_SAMPLES_H

#include "host.h"
#include "kernel/decode.h"

#define NONE INSN_NO_REGISTER

struct code {
	const char *text;
	const u8 *start, *end;
};

/* n is the instruction's own number in its program. */
#define CODE(n, text)                                                                                               \
	({                                                                                                          \
		extern const u8 sample_##n[], sample_end_##n[];                                                     \
		asm volatile(".pushsection .rodata\n.globl sample_" #n ", sample_end_" #n "\nsample_" #n ":\n\t" text \
			     "\nsample_end_" #n ":\n\t.byte 0xff\n\t.popsection" ::);                                 \
		(struct code){ text, sample_##n, sample_end_##n };                                                  \
	})

static inline void assert_same_operand(const char *text, const struct operand *got, const struct operand *wanted)
{
	if (got->base != wanted->base || got->index != wanted->index || got->scale != wanted->scale ||
	    got->address32 != wanted->address32 || got->segment != wanted->segment ||
	    got->displacement != wanted->displacement)
		fail_msg("%s: base %u, index %u, scale %u, address32 %u, segment %u, displacement %ld", text, got->base,
			 got->index, got->scale, got->address32, got->segment, (long)got->displacement);
}

#endif
