/*
 * amx.c - the tile instructions in software: encodings against the assembler's, configuration and results against the
 * manual, single precision against this machine's FMA, and everything against this machine's own tiles if it has them.
 */
#include "host.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "insn_samples.h"

#include "fpu/amx_decode.c"
#include "fpu/amx_dot.c"
#include "fpu/amx_float.c"
#include "fpu/amx_ops.c"
#include "kernel/decode.c"
#include "kernel/insn.h"

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_TILEDATA 18
#define CPUID7_EDX_AMX_BF16 BIT(22)
#define CPUID7_EDX_AMX_TILE BIT(24)
#define CPUID7_EDX_AMX_INT8 BIT(25)
#define CPUID1_ECX_FMA BIT(12)
#define MXCSR_DAZ_FTZ 0x9fc0 /* all exceptions masked */
#define FMA_ROUNDS 3000000
#define PRODUCT_ROUNDS 300

static struct rng rng = { 20201014 };

static u64 random_word(void)
{
	return rng_next(&rng);
}

/* --- Encodings --- */

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

/* --- Configuration --- */

static struct amx_registers r;

static void configure(u32 tile, u32 rows, u32 colsb)
{
	r.config.palette = 1;
	r.config.rows[tile] = (u8)rows;
	r.config.colsb[tile] = (u16)colsb;
}

static int reset(void **state)
{
	memset(&r, 0, sizeof(r));
	return 0;
}

static void refuses_hostile_images(void **state)
{
	struct amx_config good = { .palette = 1, .start_row = 255, .colsb = { 64, 1, 3 }, .rows = { 16, 1, 7 } }, bad;
	u8 *byte = (u8 *)&bad;

	assert_true(amx_config_valid(&good));
	for (u32 i = 0; i < sizeof(good); i++) {
		bool tile_byte = (i >= 16 && i < 32) || (i >= 48 && i < 56);

		bad = good;
		byte[i] ^= 0x80;
		assert_int_equal(amx_config_valid(&bad), i == 1); /* start_row may be anything */
		bad = good;
		byte[i] = 1;
		if (!tile_byte)
			assert_int_equal(amx_config_valid(&bad), i < 2);
	}
	memset(&bad, 0xff, sizeof(bad));
	bad.palette = 0;
	assert_true(amx_config_valid(&bad));
	for (u32 i = 0; i < AMX_TILES; i++) {
		bad = (struct amx_config){ .palette = 1 };
		bad.colsb[i] = 64;
		assert_false(amx_config_valid(&bad));
		bad.rows[i] = 16;
		assert_true(amx_config_valid(&bad));
		bad.rows[i] = 17;
		assert_false(amx_config_valid(&bad));
		bad.rows[i] = 16;
		bad.colsb[i] = 65;
		assert_false(amx_config_valid(&bad));
		bad.colsb[i] = 0;
		assert_false(amx_config_valid(&bad));
	}
}

static void configuring_clears_tiles(void **state)
{
	struct amx_config config = { .palette = 1, .colsb = { 8 }, .rows = { 2 } };

	configure(0, 4, 4);
	memset(r.tile, 7, sizeof(r.tile));
	r.used = true;
	amx_configure(&r, &config);
	assert_memory_equal(&r.config, &config, sizeof(config));
	assert_false(r.used);
	for (u32 i = 0; i < sizeof(r.tile); i++)
		assert_int_equal(((u8 *)r.tile)[i], 0);
	memset(&config, 9, sizeof(config));
	config.palette = 0;
	amx_configure(&r, &config);
	memset(&config, 0, sizeof(config));
	assert_memory_equal(&r.config, &config, sizeof(config));
}

static bool allowed(enum amx_op op, u8 tile, u8 src1, u8 src2)
{
	struct amx_insn insn = { .op = op, .tile = tile, .src1 = src1, .src2 = src2 };

	return amx_allowed(&r, &insn);
}

static void needs_a_fitting_configuration(void **state)
{
	assert_true(allowed(AMX_LDTILECFG, 0, 0, 0) && allowed(AMX_STTILECFG, 0, 0, 0) && allowed(AMX_TILERELEASE, 0, 0, 0));
	for (u32 op = AMX_TILEZERO; op <= AMX_TDPBF16PS; op++)
		assert_false(allowed(op, 0, 1, 2));
	configure(0, 3, 20); /* C: 3 x 5 */
	configure(1, 3, 28); /* A: 3 x 7 */
	configure(2, 7, 20); /* B: 7 x 5 */
	configure(3, 16, 63);
	assert_true(allowed(AMX_TILEZERO, 3, 0, 0) && !allowed(AMX_TILEZERO, 4, 0, 0));
	assert_true(allowed(AMX_TILELOADD, 0, 0, 0) && !allowed(AMX_TILELOADD, 3, 0, 0));
	assert_true(allowed(AMX_TILESTORED, 2, 0, 0) && !allowed(AMX_TILESTORED, 4, 0, 0));
	r.config.start_row = 3;
	assert_false(allowed(AMX_TILELOADD, 0, 0, 0));
	assert_true(allowed(AMX_TILESTORED, 2, 0, 0));
	assert_true(allowed(AMX_TILEZERO, 0, 0, 0));
	for (u32 op = AMX_TDPBSSD; op <= AMX_TDPBF16PS; op++) {
		assert_true(allowed(op, 0, 1, 2));
		assert_false(allowed(op, 0, 2, 1) || allowed(op, 1, 0, 2) || allowed(op, 2, 1, 0));
		configure(4, 3, 24);
		assert_false(allowed(op, 0, 4, 2));
		configure(4, 4, 28);
		assert_false(allowed(op, 0, 4, 2));
		configure(4, 7, 24);
		assert_false(allowed(op, 0, 1, 4));
		configure(4, 7, 22);
		assert_false(allowed(op, 0, 1, 4));
	}
	configure(5, 4, 16);
	assert_false(allowed(AMX_TDPBSSD, 5, 5, 5)); /* shapes fit */
	configure(6, 4, 16);
	assert_false(allowed(AMX_TDPBSSD, 5, 5, 6) || allowed(AMX_TDPBSSD, 5, 6, 5) || allowed(AMX_TDPBSSD, 5, 6, 6));
}

/* --- Rows --- */

/* Fails if a load leaves old bytes outside the tile, forgets where it was, or does not start at start_row. */
static void loads_row_by_row(void **state)
{
	configure(2, 5, 12);
	memset(r.tile, 0xee, sizeof(r.tile));
	r.config.start_row = 2;
	amx_load_start(&r, 2);
	assert_true(r.used);
	for (u32 row = 2; row < 5; row++) {
		assert_int_equal(r.config.start_row, row);
		memset(amx_row(&r, 2), (int)row, 12);
		assert_int_equal(amx_row_done(&r, 2), row < 4);
	}
	assert_int_equal(r.config.start_row, 0);
	for (u32 row = 0; row < AMX_ROWS; row++)
		for (u32 i = 0; i < AMX_COLSB; i++)
			assert_int_equal(r.tile[2][row][i], row < 2 ? 0xee : row < 5 && i < 12 ? row : 0);
	assert_int_equal(r.tile[1][15][63], 0xee);
	assert_int_equal(r.tile[3][0][0], 0xee);
}

/* --- Single precision --- */

static u32 this_machines_fma(u32 a, u32 b, u32 c)
{
	u32 mxcsr = MXCSR_DAZ_FTZ, old;

	asm("stmxcsr %1\n\tldmxcsr %2\n\tvmovd %0, %%xmm0\n\tvmovd %3, %%xmm1\n\tvmovd %4, %%xmm2\n\t"
	    "vfmadd231ss %%xmm2, %%xmm1, %%xmm0\n\tvmovd %%xmm0, %0\n\tldmxcsr %1"
	    : "+r"(c), "=m"(old)
	    : "m"(mxcsr), "r"(a), "r"(b)
	    : "xmm0", "xmm1", "xmm2");
	return c;
}

static u32 random_float(void)
{
	static const u32 edges[] = { 0, 1, 0x007fffff, 0x00800000, 0x00800001, 0x3f800000, 0x3f7fffff, 0x7f7fffff,
				     0x7f800000, 0x34000000, 0x33800000, 0x1f800000, 0x20000000 };
	u64 word = random_word();
	u32 sign = (u32)word & SIGN, near = (u32)(110 + (word >> 40) % 40) << FRACTION_BITS;

	switch (word >> 60) {
	case 0 ... 3:
		return sign | edges[(word >> 32) % ARRAY_SIZE(edges)];
	case 4 ... 11:
		return sign | near | ((u32)word & FRACTION);
	case 12:
		return sign | near | ((u32)word & 0x7f0000);
	case 13:
		return sign | (u32)((word >> 32) % 80) << FRACTION_BITS | ((u32)word & FRACTION);
	case 14:
		return sign | (u32)(240 + (word >> 32) % 15) << FRACTION_BITS | ((u32)word & FRACTION);
	default:
		return (u32)word;
	}
}

/* Fails if one rounding, overflow, flush or sign differs. Which of several NaNs comes out is tested by itself. */
static void floats_as_this_machines(void **state)
{
	if (!(cpuid(1, 0).ecx & CPUID1_ECX_FMA)) {
		print_message("no FMA on this machine\n");
		skip();
	}
	for (u32 i = 0; i < FMA_ROUNDS; i++) {
		u32 a = random_float(), b = random_float(), c = random_float(), wanted, got;

		if (i % 4 == 0) /* cancellation */
			c = this_machines_fma(a, b, 0) ^ SIGN ^ (u32)(random_word() % 3);
		wanted = this_machines_fma(a, b, c);
		got = amx_f32_fma(a, b, c);
		if (wanted != got && !(is_nan(wanted) && is_nan(got)))
			fail_msg("%08x * %08x + %08x = %08x, not %08x", a, b, c, wanted, got);
		if (is_nan(wanted) && !is_nan(a) + !is_nan(b) + !is_nan(c) >= 2)
			assert_int_equal(got, wanted);
	}
}

static void floats_that_are_special(void **state)
{
	assert_int_equal(amx_f32_fma(0x7f800001, 0x7fc00002, 0xffc00003), 0x7fc00001);
	assert_int_equal(amx_f32_fma(0x3f800000, 0xff800002, 0xffc00003), 0xffc00002);
	assert_int_equal(amx_f32_fma(0x7f800000, 0, 0x7f800003), 0x7fc00003);
	assert_int_equal(amx_f32_fma(0x7f800000, 1, 0x3f800000), DEFAULT_NAN); /* a denormal is 0 */
	assert_int_equal(amx_f32_fma(0x7f800000, 0xbf800000, 0x7f800000), DEFAULT_NAN);
	assert_int_equal(amx_f32_fma(0x7f800000, 0xbf800000, 0xff800000), 0xff800000);
	assert_int_equal(amx_f32_add(0x3f800000, 0xbf800000), 0);
	assert_int_equal(amx_f32_add(SIGN, SIGN), SIGN);
	assert_int_equal(amx_f32_add(SIGN, 0), 0);
	assert_int_equal(amx_f32_add(0x80000001, 0x80000001), SIGN);
	assert_int_equal(amx_f32_add(0x7f7fffff, 0x73000000), 0x7f800000); /* half an ulp: to even, which is infinite */
	assert_int_equal(amx_f32_add(0x7f7fffff, 0x72ffffff), 0x7f7fffff);
}

/* --- Products --- */

static void random_tile(u32 tile, bool floats)
{
	for (u32 row = 0; row < AMX_ROWS; row++)
		for (u32 i = 0; i < AMX_COLSB / 4; i++)
			set_element(r.tile[tile][row], i, floats ? (random_float() & 0xffff0000) | random_float() >> 16 :
								   (u32)random_word());
}

static void random_product(bool floats)
{
	u32 m = 1 + random_word() % 16, n = 1 + random_word() % 16, k = 1 + random_word() % 16;

	configure(0, m, 4 * n);
	configure(1, m, 4 * k);
	configure(2, k, 4 * n);
	for (u32 i = 0; i < 3; i++)
		random_tile(i, floats);
}

static s64 byte_in(u32 tile, u32 row, u32 i, bool is_signed)
{
	return is_signed ? (s64)(s8)r.tile[tile][row][i] : (s64)r.tile[tile][row][i];
}

static void expect_bytes(enum amx_op op, bool signed1, bool signed2)
{
	struct amx_insn insn = { .op = op, .tile = 0, .src1 = 1, .src2 = 2 };
	u32 rows, columns;
	static u32 wanted[AMX_ROWS][AMX_COLSB / 4];

	random_product(false);
	rows = r.config.rows[0];
	columns = r.config.colsb[0] / 4;
	memset(wanted, 0, sizeof(wanted));
	for (u32 m = 0; m < rows; m++)
		for (u32 n = 0; n < columns; n++) {
			s64 sum = element(r.tile[0][m], n);

			for (u32 i = 0; i < r.config.colsb[1]; i++)
				sum += byte_in(1, m, i, signed1) * byte_in(2, i / 4, 4 * n + i % 4, signed2);
			wanted[m][n] = (u32)sum;
		}
	r.config.start_row = 9;
	amx_compute(&r, &insn);
	assert_memory_equal(r.tile[0], wanted, sizeof(wanted));
	assert_int_equal(r.config.start_row, 0);
	assert_true(r.used);
}

static void byte_products(void **state)
{
	for (u32 i = 0; i < PRODUCT_ROUNDS; i++) {
		expect_bytes(AMX_TDPBSSD, true, true);
		expect_bytes(AMX_TDPBSUD, true, false);
		expect_bytes(AMX_TDPBUSD, false, true);
		expect_bytes(AMX_TDPBUUD, false, false);
	}
}

/* The manual's loop, in its order: an array of sums for a row, then across, then to the destination. */
static void bf16_products(void **state)
{
	struct amx_insn insn = { .op = AMX_TDPBF16PS, .tile = 0, .src1 = 1, .src2 = 2 };
	static u32 wanted[AMX_ROWS][AMX_COLSB / 4];

	for (u32 round = 0; round < PRODUCT_ROUNDS; round++) {
		random_product(true);
		memset(wanted, 0, sizeof(wanted));
		for (u32 m = 0; m < r.config.rows[0]; m++) {
			u32 sums[2 * AMX_COLSB / 4] = { 0 };
			const u16 *a = (const u16 *)r.tile[1][m];

			for (u32 k = 0; k < r.config.colsb[1] / 4; k++)
				for (u32 n = 0; n < r.config.colsb[0] / 2; n++) {
					const u16 *b = (const u16 *)r.tile[2][k];

					sums[n] = amx_f32_fma((u32)a[2 * k + n % 2] << 16, (u32)b[n] << 16, sums[n]);
				}
			for (u32 n = 0; n < r.config.colsb[0] / 4; n++)
				wanted[m][n] = amx_f32_add(element(r.tile[0][m], n),
							   amx_f32_add(sums[2 * n], sums[2 * n + 1]));
		}
		amx_compute(&r, &insn);
		assert_memory_equal(r.tile[0], wanted, sizeof(wanted));
	}
}

static void zeroing(void **state)
{
	struct amx_insn insn = { .op = AMX_TILEZERO, .tile = 6 };
	u8 zero[AMX_ROWS * AMX_COLSB] = { 0 };

	configure(6, 1, 1);
	r.config.start_row = 3;
	memset(r.tile, 5, sizeof(r.tile));
	amx_compute(&r, &insn);
	assert_memory_equal(r.tile[6], zero, sizeof(zero));
	assert_int_equal(r.tile[5][15][63], 5);
	assert_int_equal(r.config.start_row, 0);
	assert_int_equal(r.config.rows[6], 1);
}

/* --- This machine's own tiles --- */

static bool machine_has_tiles(void)
{
	u32 wanted = CPUID7_EDX_AMX_TILE | CPUID7_EDX_AMX_INT8 | CPUID7_EDX_AMX_BF16;

	return (cpuid(7, 0).edx & wanted) == wanted && !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILEDATA);
}

#define LOAD_OWN(n) asm volatile("tileloadd (%0,%1,1), %%tmm" #n ::"r"(r.tile[n]), "r"(64ul) : "memory")
#define STORE_OWN(n, to) asm volatile("tilestored %%tmm" #n ", (%0,%1,1)" ::"r"(to), "r"(64ul) : "memory")

static void compute_own(enum amx_op op)
{
	switch (op) {
	case AMX_TDPBSSD:
		asm volatile("tdpbssd %tmm2, %tmm1, %tmm0");
		break;
	case AMX_TDPBSUD:
		asm volatile("tdpbsud %tmm2, %tmm1, %tmm0");
		break;
	case AMX_TDPBUSD:
		asm volatile("tdpbusd %tmm2, %tmm1, %tmm0");
		break;
	case AMX_TDPBUUD:
		asm volatile("tdpbuud %tmm2, %tmm1, %tmm0");
		break;
	default:
		asm volatile("tdpbf16ps %tmm2, %tmm1, %tmm0");
	}
}

static void products_as_this_machines(void **state)
{
	static u8 own[AMX_ROWS][AMX_COLSB];

	if (!machine_has_tiles()) {
		print_message("no tiles with INT8 and BF16 on this machine\n");
		skip();
	}
	for (u32 round = 0; round < PRODUCT_ROUNDS; round++)
		for (u32 op = AMX_TDPBSSD; op <= AMX_TDPBF16PS; op++) {
			struct amx_insn insn = { .op = op, .tile = 0, .src1 = 1, .src2 = 2 };

			random_product(op == AMX_TDPBF16PS);
			asm volatile("ldtilecfg %0" ::"m"(r.config));
			LOAD_OWN(0);
			LOAD_OWN(1);
			LOAD_OWN(2);
			compute_own(op);
			memset(own, 0, sizeof(own));
			STORE_OWN(0, own);
			asm volatile("tilerelease");
			amx_compute(&r, &insn);
			assert_memory_equal(own, r.tile[0], sizeof(own));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_what_the_assembler_makes),
		cmocka_unit_test(refuses_other_forms),
		cmocka_unit_test(refuses_hostile_images),
		cmocka_unit_test_setup(configuring_clears_tiles, reset),
		cmocka_unit_test_setup(needs_a_fitting_configuration, reset),
		cmocka_unit_test_setup(loads_row_by_row, reset),
		cmocka_unit_test(floats_as_this_machines),
		cmocka_unit_test(floats_that_are_special),
		cmocka_unit_test_setup(byte_products, reset),
		cmocka_unit_test_setup(bf16_products, reset),
		cmocka_unit_test_setup(zeroing, reset),
		cmocka_unit_test_setup(products_as_this_machines, reset),
	};

	return cmocka_run_group_tests_name("amx", tests, NULL, NULL);
}
