/* amx_decode.c - the encodings of tile instructions, against the assembler's, and what is no valid form of one. */
#include "insn_samples.h"

#include "fpu/amx_decode.c"
#include "kernel/decode.c"

#define AT(...) .memory = { __VA_ARGS__ }

struct sample {
	struct code code;
	struct amx_insn insn;
};

/* What the instruction's bytes must mean comes behind its text. */
#define SAMPLE(n, text, ...) ((struct sample){ CODE(n, text), { __VA_ARGS__ } })

static void check_sample(struct sample sample)
{
	u32 n = (u32)(sample.code.end - sample.code.start);
	struct amx_insn insn;

	sample.insn.length = n;
	for (u32 known = 0; known < n; known++) {
		u8 *bytes = exact_copy(sample.code.start, known);
		int more = amx_decode(bytes, known, &insn);

		free(bytes);
		if (more <= (int)known || more > (int)n)
			fail_msg("%s: %d after %u of %u bytes", sample.code.text, more, known, n);
	}
	if (amx_decode(sample.code.start, n, &insn))
		fail_msg("%s is refused", sample.code.text);
	if (insn.op != sample.insn.op || insn.length != n || insn.tile != sample.insn.tile ||
	    insn.src1 != sample.insn.src1 || insn.src2 != sample.insn.src2)
		fail_msg("%s: op %u, tiles %u %u %u", sample.code.text, insn.op, insn.tile, insn.src1, insn.src2);
	assert_same_operand(sample.code.text, &insn.memory, &sample.insn.memory);
}

static void decodes_what_the_assembler_makes(void **state)
{
	check_sample(SAMPLE(1, "ldtilecfg (%%rax)", AMX_LDTILECFG, AT(.base = 0, .index = NONE)));
	check_sample(SAMPLE(2, "ldtilecfg (%%rsp)", AMX_LDTILECFG, AT(.base = 4, .index = NONE)));
	check_sample(SAMPLE(3, "sttilecfg (%%r13)", AMX_STTILECFG, AT(.base = 13, .index = NONE)));
	check_sample(SAMPLE(4, "sttilecfg -128(%%rbp)", AMX_STTILECFG, AT(.base = 5, .index = NONE,
			    .displacement = -128)));
	check_sample(SAMPLE(5, "ldtilecfg 0x12345(%%rip)", AMX_LDTILECFG, AT(.base = INSN_RIP, .index = NONE,
			    .displacement = 0x12345 + 9)));
	check_sample(SAMPLE(6, "ldtilecfg -0x7fffffff(,%%r9,8)", AMX_LDTILECFG,
			    AT(.base = NONE, .index = 9, .scale = 3, .displacement = -0x7fffffff)));
	check_sample(SAMPLE(7, "tilerelease", AMX_TILERELEASE, AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(8, "tilezero %%tmm7", AMX_TILEZERO, .tile = 7, AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(9, "tileloadd (%%rbx,%%rcx,1), %%tmm5", AMX_TILELOADD, .tile = 5,
			    AT(.base = 3, .index = 1)));
	check_sample(SAMPLE(10, "tileloaddt1 64(%%r12,%%r15,4), %%tmm2", AMX_TILELOADD, .tile = 2,
			    AT(.base = 12, .index = 15, .scale = 2, .displacement = 64)));
	check_sample(SAMPLE(11, "tilestored %%tmm1, 0x1000(%%r8,%%r12,2)", AMX_TILESTORED, .tile = 1, AT(.base = 8,
			    .index = 12, .scale = 1, .displacement = 0x1000)));
	check_sample(SAMPLE(12, "tileloadd (%%rsi), %%tmm0", AMX_TILELOADD, AT(.base = 6, .index = NONE)));
	check_sample(SAMPLE(13, "tileloadd %%fs:(%%rdi,%%rsi,1), %%tmm0", AMX_TILELOADD, AT(.base = 7, .index = 6,
			    .segment = SEGMENT_FS)));
	check_sample(SAMPLE(14, "tilestored %%tmm3, %%gs:8(%%edi,%%r10d,1)", AMX_TILESTORED, .tile = 3, AT(.base = 7,
			    .index = 10, .segment = SEGMENT_GS, .address32 = true, .displacement = 8)));
	check_sample(SAMPLE(15, "tdpbssd %%tmm1, %%tmm2, %%tmm3", AMX_TDPBSSD, .tile = 3, .src1 = 2, .src2 = 1,
			    AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(16, "tdpbsud %%tmm7, %%tmm0, %%tmm4", AMX_TDPBSUD, .tile = 4, .src1 = 0, .src2 = 7,
			    AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(17, "tdpbusd %%tmm0, %%tmm7, %%tmm1", AMX_TDPBUSD, .tile = 1, .src1 = 7, .src2 = 0,
			    AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(18, "tdpbuud %%tmm5, %%tmm6, %%tmm7", AMX_TDPBUUD, .tile = 7, .src1 = 6, .src2 = 5,
			    AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(19, "tdpbf16ps %%tmm6, %%tmm5, %%tmm0", AMX_TDPBF16PS, .tile = 0, .src1 = 5, .src2 = 6,
			    AT(.base = NONE, .index = NONE)));
	check_sample(SAMPLE(20, ".byte 0x65, 0x64, 0x2e, 0x3e, 0x64\n\ttilestored %%tmm0, 0x1000(%%rbx)", AMX_TILESTORED,
			    AT(.base = 3, .index = NONE, .segment = SEGMENT_FS, .displacement = 0x1000)));
}

#define REFUSED(...)                                                                           \
	do {                                                                                   \
		static const u8 bytes_[] = { __VA_ARGS__ };                                    \
		struct amx_insn insn_;                                                         \
		assert_int_equal(amx_decode(bytes_, sizeof(bytes_), &insn_), -1);              \
	} while (0)

/* Fails if a form is executed that raises #UD on every CPU. */
static void refuses_other_forms(void **state)
{
	REFUSED(0x0f, 0x0b);
	REFUSED(0xc5, 0xf8, 0x77);
	REFUSED(0xc4, 0xe2, 0xf8, 0x49, 0xc0); /* tilerelease with W, */
	REFUSED(0xc4, 0xe2, 0x7c, 0x49, 0xc0); /* L, */
	REFUSED(0xc4, 0xe1, 0x78, 0x49, 0xc0); /* another map, */
	REFUSED(0xc4, 0xe2, 0x70, 0x49, 0xc0); /* vvvv, */
	REFUSED(0xc4, 0xe2, 0x78, 0x49, 0xc8); /* reg, */
	REFUSED(0xc4, 0xe2, 0x78, 0x49, 0xc1); /* rm, */
	REFUSED(0xc4, 0xe2, 0x79, 0x49, 0xc0); /* 66, */
	REFUSED(0xc4, 0xe2, 0x7a, 0x49, 0xc0); /* F3 */
	REFUSED(0x66, 0xc4, 0xe2, 0x78, 0x49, 0xc0);
	REFUSED(0xf2, 0xc4, 0xe2, 0x78, 0x49, 0xc0);
	REFUSED(0xf3, 0xc4, 0xe2, 0x78, 0x49, 0xc0);
	REFUSED(0xf0, 0xc4, 0xe2, 0x78, 0x49, 0xc0);
	REFUSED(0x48, 0xc4, 0xe2, 0x78, 0x49, 0xc0);
	REFUSED(0xc4, 0xe2, 0x78, 0x49, 0x08); /* ldtilecfg with another reg */
	REFUSED(0xc4, 0x62, 0x7b, 0x49, 0xc0); /* tilezero of tile 8 */
	REFUSED(0xc4, 0x62, 0x7b, 0x4b, 0x04, 0x18);
	REFUSED(0xc4, 0xe2, 0x7b, 0x4b, 0x03); /* tileloadd without SIB */
	REFUSED(0xc4, 0xe2, 0x73, 0x4b, 0x04, 0x18);
	REFUSED(0xc4, 0xe2, 0x7b, 0x4b, 0xc0); /* of a register */
	REFUSED(0xc4, 0xe2, 0x78, 0x4b, 0x04, 0x18); /* no prefix */
	REFUSED(0xc4, 0xe2, 0x33, 0x5e, 0xca); /* vvvv names tile 9 */
	REFUSED(0xc4, 0xc2, 0x73, 0x5e, 0xca); /* rm does */
	REFUSED(0xc4, 0x62, 0x73, 0x5e, 0xca); /* reg does */
	REFUSED(0xc4, 0xe2, 0x73, 0x5e, 0x0a); /* a product with memory */
	REFUSED(0xc4, 0xe2, 0x71, 0x5c, 0xca);
	REFUSED(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xc4, 0xe2, 0x78, 0x49, 0xc0);
	REFUSED(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e);
	REFUSED(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xc4, 0xe2, 0x7b, 0x4b, 0x84, 0x18, 0, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_what_the_assembler_makes),
		cmocka_unit_test(refuses_other_forms),
	};

	return cmocka_run_group_tests_name("amx_decode", tests, NULL, NULL);
}
