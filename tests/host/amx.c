/*
 * amx.c - the tile instructions in software: configuration and results against the manual, single precision against
 * this machine's FMA, and everything against this machine's own tiles if it has them. Encodings are amx_decode.c's.
 */
#include "host.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "fpu/amx_dot.c"
#include "fpu/amx_float.c"
#include "fpu/amx_ops.c"
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
