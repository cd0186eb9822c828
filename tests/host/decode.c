/*
 * decode.c - ENQCMD and ENQCMDS: every byte of the encoding against the assembler's, prefixes in any order, and what
 * is neither of the two.
 */
#include "insn_samples.h"

#include "kernel/decode.c"

struct sample {
	struct code code;
	bool supervisor;
	u8 destination;
	struct operand source;
};

#define SAMPLE(n, text, supervisor, destination, ...)                                          \
	((struct sample){ CODE(n, text), supervisor, destination, { __VA_ARGS__ } })

/* Fails if a byte is taken for granted, or more are asked for than there are. */
static void check_sample(struct sample sample)
{
	u32 n = (u32)(sample.code.end - sample.code.start);
	struct enqcmd_insn insn;

	for (u32 known = 0; known < n; known++) {
		u8 *bytes = exact_copy(sample.code.start, known);
		int more = enqcmd_decode(bytes, known, &insn);

		free(bytes);
		if (more <= (int)known || more > (int)n)
			fail_msg("%s: %d after %u of %u bytes", sample.code.text, more, known, n);
	}
	if (enqcmd_decode(sample.code.start, n, &insn))
		fail_msg("%s is refused", sample.code.text);
	if (insn.length != n || insn.supervisor != sample.supervisor || insn.destination != sample.destination)
		fail_msg("%s: length %u, supervisor %u, destination %u", sample.code.text, insn.length,
			 insn.supervisor, insn.destination);
	assert_same_operand(sample.code.text, &insn.source, &sample.source);
}

static void decodes_what_the_assembler_makes(void **state)
{
	check_sample(SAMPLE(1, "enqcmd (%%rax), %%rcx", false, 1, .base = 0, .index = NONE));
	check_sample(SAMPLE(2, "enqcmds (%%rsp), %%rdi", true, 7, .base = 4, .index = NONE));
	check_sample(SAMPLE(3, "enqcmd 64(%%r12,%%r15,4), %%r8", false, 8, .base = 12, .index = 15, .scale = 2,
			    .displacement = 64));
	check_sample(SAMPLE(4, "enqcmd -1(%%rbp), %%r15", false, 15, .base = 5, .index = NONE, .displacement = -1));
	check_sample(SAMPLE(5, "enqcmd 0x12345(%%rip), %%rax", false, 0, .base = INSN_RIP, .index = NONE,
			    .displacement = 0x12345 + 9));
	check_sample(SAMPLE(6, "enqcmd -0x7fffffff(,%%r9,8), %%rsi", false, 6, .base = NONE, .index = 9, .scale = 3,
			    .displacement = -0x7fffffff));
	check_sample(SAMPLE(7, "enqcmd %%fs:(%%rdi,%%rsi), %%rbx", false, 3, .base = 7, .index = 6,
			    .segment = SEGMENT_FS));
	check_sample(SAMPLE(8, "enqcmds %%gs:8(%%r13d), %%r14d", true, 14, .base = 13, .index = NONE,
			    .segment = SEGMENT_GS, .address32 = true, .displacement = 8));
}

/* Fails if the order of prefixes counts where it must not, or not where it must. */
static void takes_prefixes_in_any_order(void **state)
{
	check_sample(SAMPLE(9, ".byte 0xf2, 0x66, 0x64, 0x0f, 0x38, 0xf8, 0x08", false, 1, .base = 0, .index = NONE,
			    .segment = SEGMENT_FS));
	check_sample(SAMPLE(10, ".byte 0x66, 0x67, 0xf3, 0xf2, 0x0f, 0x38, 0xf8, 0x08", false, 1, .base = 0,
			    .index = NONE, .address32 = true));
	check_sample(SAMPLE(11, ".byte 0xf2, 0xf3, 0x4c, 0x0f, 0x38, 0xf8, 0x08", true, 9, .base = 0, .index = NONE));
	check_sample(SAMPLE(12, ".byte 0x4f, 0xf2, 0x0f, 0x38, 0xf8, 0x08", false, 1, .base = 0, .index = NONE));
	check_sample(SAMPLE(13, ".byte 0xf2, 0x4f, 0x2e, 0x0f, 0x38, 0xf8, 0x08", false, 1, .base = 0,
			    .index = NONE));
	check_sample(SAMPLE(14, ".byte 0xf2, 0x4f, 0x41, 0x0f, 0x38, 0xf8, 0x08", false, 1, .base = 8,
			    .index = NONE));
	check_sample(SAMPLE(15, ".fill 10, 1, 0x2e\n\tenqcmd (%%rax), %%rcx", false, 1, .base = 0, .index = NONE));
}

#define REFUSED(...)                                                                           \
	do {                                                                                   \
		static const u8 bytes_[] = { __VA_ARGS__ };                                    \
		struct enqcmd_insn insn_;                                                      \
		assert_int_equal(enqcmd_decode(bytes_, sizeof(bytes_), &insn_), -1);           \
	} while (0)

/* Fails if something is executed that raises #UD on every CPU. */
static void refuses_what_is_neither(void **state)
{
	REFUSED(0x0f, 0x0b);
	REFUSED(0x0f, 0x38, 0xf8, 0x08);
	REFUSED(0x66, 0x0f, 0x38, 0xf8, 0x08); /* MOVDIR64B */
	REFUSED(0xf2, 0x0f, 0x38, 0xf8, 0xc8); /* a register is no source */
	REFUSED(0xf0, 0xf2, 0x0f, 0x38, 0xf8, 0x08); /* LOCK */
	REFUSED(0xf2, 0xf0, 0x0f, 0x38, 0xf8, 0x08);
	REFUSED(0xf2, 0x0f, 0x38, 0xf9, 0x08);
	REFUSED(0xf2, 0x0f, 0x3a, 0xf8, 0x08);
	REFUSED(0xf2, 0x38, 0xf8, 0x08);
	REFUSED(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xf2, 0x0f, 0x38, 0xf8, 0x08);
	REFUSED(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xf2, 0x0f, 0x38, 0xf8, 0x48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_what_the_assembler_makes),
		cmocka_unit_test(takes_prefixes_in_any_order),
		cmocka_unit_test(refuses_what_is_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
