/*
 * regfile.c - the knobs of the software register file, and the model on top of it: two implementations of
 * the manual that share no code, compared over components that this machine may not have.
 */
#include "host.h"

#include "regfile/fpu/insn.h"
#include "fpu/amx_ops.c"
#include "fpu/soft.c"
#include "fpu/soft_supervisor.c"
#include "fpu/soft_tiles.c"
#include "fpu/xstate.c"
#include "regfile/regfile.c"
#include "regfile/xsave.c"

static struct rng rng = { 20151111 };

static u64 random_word(void)
{
	return rng_next(&rng);
}

#include "xsave_data.h"

#define USER 0x602e7ul
#define SUPERVISOR (XFM(XF_PASID) | XFM(XF_CET_U))
#define ALL (USER | SUPERVISOR)
#define UNTOUCHED 0xc3
#define COMPARISONS 20000

static union {
	struct xsave_area area;
	u8 bytes[REGFILE_AREA];
} first, second, spare;

static int reset(void **state)
{
	regfile_reset(USER, SUPERVISOR);
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	return 0;
}

static void fill(u32 feature, u8 byte)
{
	u8 value[REGFILE_MAX_COMPONENT];

	memset(value, byte, sizeof(value));
	if (feature == XF_SSE)
		memset(value, 0, 4); /* MXCSR 0 */
	regfile_write(feature, value);
}

static u8 first_byte(u32 feature)
{
	u8 value[REGFILE_MAX_COMPONENT];

	regfile_read(feature, value);
	return value[feature == XF_SSE ? 8 : 0];
}

static u8 *stored(void *area, u32 feature)
{
	return value_place(&regfile.layout, area, feature);
}

/* --- The knobs --- */

static void init_optimisation(void **state)
{
	u64 random = 0, both = ~0ul;

	fill(XF_AVX, 7);
	regfile.knobs.init = INIT_BY_CONTENT;
	xsaves64(&first, ~0ul);
	assert_int_equal(first.area.xstate_bv, XFM(XF_AVX));
	assert_int_equal(first.area.xcomp_bv, XCOMP_COMPACTED | ALL);
	assert_int_equal(*stored(&first, XF_AVX), 7);
	regfile.knobs.init = INIT_NEVER;
	xsaves64(&first, ~0ul);
	assert_int_equal(first.area.xstate_bv, ALL);
	assert_int_equal(xgetbv(1), USER);
	regfile.knobs.init = INIT_RANDOM;
	for (u32 i = 0; i < 64; i++) {
		xsaves64(&first, ~0ul);
		random |= first.area.xstate_bv;
		both &= first.area.xstate_bv;
	}
	assert_int_equal(random, ALL);
	assert_int_equal(both, XFM(XF_AVX));
}

/* XSAVES of everything into the area that XRSTORS came from, after somebody has overwritten AVX there. */
static u8 save_over_poison(void *area, u64 rfbm)
{
	u8 *avx = stored(area, XF_AVX);

	*avx = UNTOUCHED;
	xsaves64(area, rfbm);
	return *avx;
}

static void start_modified(void)
{
	regfile.knobs.init = INIT_BY_CONTENT;
	regfile.knobs.modified = true;
	fill(XF_AVX, 7);
	fill(XF_OPMASK, 8);
	xsaves64(&first, ALL);
	assert_int_equal(xrstors64(&first, ALL), 0);
}

static void modified_optimisation(void **state)
{
	start_modified();
	assert_int_equal(save_over_poison(&first, ALL), UNTOUCHED);
	assert_int_equal(first.area.xstate_bv, XFM(XF_AVX) | XFM(XF_OPMASK));
	fill(XF_OPMASK, 9); /* another component does not matter */
	assert_int_equal(save_over_poison(&first, ALL), UNTOUCHED);
	assert_int_equal(*stored(&first, XF_OPMASK), 9);
	xsaves64(&second, ALL); /* nor does a save to another place */
	assert_int_equal(*stored(&second, XF_AVX), 7);
	assert_int_equal(save_over_poison(&first, ALL), UNTOUCHED);
	fill(XF_AVX, 7); /* the same value is a write */
	assert_int_equal(save_over_poison(&first, ALL), 7);
}

static void modified_optimisation_ends(void **state)
{
	start_modified();
	assert_int_equal(save_over_poison(&first, ALL & ~XFM(XF_PKRU)), 7); /* another XCOMP_BV */
	start_modified();
	xrstors64(&first, 0);
	assert_int_equal(save_over_poison(&first, ALL), 7);
	start_modified();
	xrstors64(&first, ALL & ~XFM(XF_AVX)); /* AVX is no longer what was restored last */
	assert_int_equal(save_over_poison(&first, ALL), 7);
	start_modified();
	memcpy(&second, &first, sizeof(first));
	xrstors64(&second, ALL);
	assert_int_equal(save_over_poison(&first, ALL), 7);
	start_modified();
	regfile.knobs.torn_after = 0;
	assert_int_equal(xrstors64(&first, ALL), -1);
	assert_int_equal(save_over_poison(&first, ALL), 7);
	reset(NULL);
	start_modified();
	regfile.knobs.modified = false;
	assert_int_equal(save_over_poison(&first, ALL), 7);
}

static void torn_restore(void **state)
{
	fill(XF_SSE, 1), fill(XF_AVX, 1), fill(XF_OPMASK, 1);
	xsaves64(&first, ALL);
	fill(XF_SSE, 2), fill(XF_AVX, 2), fill(XF_OPMASK, 2);
	regfile.knobs.torn_after = 3; /* x87, SSE, AVX */
	assert_int_equal(xrstors64(&first, ALL), -1);
	assert_int_equal(regfile.last_fault, EXC_GP);
	assert_int_equal(first_byte(XF_SSE), 1);
	assert_int_equal(first_byte(XF_AVX), 1);
	assert_int_equal(first_byte(XF_OPMASK), 2);
	assert_int_equal(xrstors64(&first, XFM(XF_OPMASK)), 0);
	assert_int_equal(first_byte(XF_OPMASK), 1);
}

static void absent_page(void **state)
{
	u32 size = xstate_compact_size(&regfile.layout, ALL);

	memset(&first, UNTOUCHED, sizeof(first));
	regfile.knobs.init = INIT_BY_CONTENT;
	regfile.knobs.absent = first.bytes + size - 1; /* nothing would be stored there */
	xsaves64(&first, ALL);
	assert_int_equal(regfile.last_fault, EXC_PF);
	assert_int_equal(first.area.xstate_bv, 0xc3c3c3c3c3c3c3c3);
	regfile.knobs.absent = first.bytes + size;
	xsaves64(&first, ALL);
	assert_int_equal(regfile.faults, 1);
	memset(first.area.header_reserved, 0, sizeof(first.area.header_reserved));
	regfile.knobs.absent = first.bytes + size - 1;
	fill(XF_AVX, 5);
	assert_int_equal(xrstors64(&first, ALL), -1);
	assert_int_equal(first_byte(XF_AVX), 5);
	assert_int_equal(xrstors64(&first, XFM(XF_AVX)), 0);
}

static void component_set(void **state)
{
	regfile_reset(0x207, 0);
	assert_int_equal(regfile.layout.user, 0x207);
	assert_int_equal(regfile.layout.supervisor, 0);
	xsaves64(&first, ~0ul);
	assert_int_equal(first.area.xcomp_bv, XCOMP_COMPACTED | 0x207);
	xsetbv(0xe7);
	assert_int_equal(regfile.last_fault, EXC_GP);
	xsetbv(7);
	assert_int_equal(xgetbv(0), 7);
	write_fpu_msr(MSR_IA32_XSS, XFM(XF_CET_U));
	assert_int_equal(regfile.faults, 2);
}

static void xfd(void **state)
{
	u8 value[REGFILE_MAX_COMPONENT];

	regfile.knobs.init = INIT_BY_CONTENT;
	fill(XF_TILEDATA, 6);
	xsaves64(&first, ALL);
	write_fpu_msr(MSR_IA32_XFD, XFM(XF_TILEDATA));
	xsaves64(&second, ALL);
	assert_int_equal(second.area.xstate_bv, 0);
	assert_int_equal(second.area.xcomp_bv, first.area.xcomp_bv);
	assert_int_equal(xrstors64(&first, ALL & ~XFM(XF_TILEDATA)), 0);
	assert_int_equal(xrstors64(&first, ALL), -1);
	assert_int_equal(regfile.last_fault, EXC_NM);
	assert_int_equal(read_fpu_msr(MSR_IA32_XFD_ERR), XFM(XF_TILEDATA));
	regfile_read(XF_TILEDATA, value);
	assert_int_equal(value[0], 6); /* arming does not clear the registers */
	assert_int_equal(xrstors64(&second, ALL), 0);
	assert_true(regfile_is_initial(XF_TILEDATA));
	write_fpu_msr(MSR_IA32_XFD, XFM(XF_AVX));
	assert_int_equal(regfile.last_fault, EXC_GP);
}

static void two_cpus(void **state)
{
	fill(XF_AVX, 1);
	wrpkru(4);
	stts();
	regfile.current = 1;
	assert_true(regfile_is_initial(XF_AVX));
	assert_int_equal(rdpkru(), 0);
	ldmxcsr(0x1f00);
	assert_int_equal(regfile.faults, 0);
	regfile.current = 0;
	assert_int_equal(rdpkru(), 4);
	assert_int_equal(first_byte(XF_AVX), 1);
}

static void task_switched(void **state)
{
	stts();
	ldmxcsr(0x1f00);
	fninit();
	xsaves64(&first, ALL);
	assert_int_equal(xrstors64(&first, ALL), -1);
	assert_int_equal(regfile.faults, 4);
	assert_int_equal(regfile.last_fault, EXC_NM);
	clts();
	assert_int_equal(stmxcsr(), MXCSR_INIT);
	fldcw(0x27f);
	assert_int_equal(fnstcw(), 0x27f);
	fninit();
	assert_true(regfile_is_initial(XF_X87));
	assert_int_equal(regfile.faults, 4);
}

/* --- The model on top --- */

static struct soft_cpu cpu;
static struct xstate_layout soft_layout;

static u64 random_subset(u64 of)
{
	return random_word() % 4 ? random_word() & of : of;
}

/* The model's registers that XSAVE does not reach, from the register file's and back. */
static bool tiles_by_hand;

static void to_model(void)
{
	const struct regfile_cpu *from = &regfile.cpu[0];

	memcpy(&cpu.pasid, from->value[XF_PASID], sizeof(cpu.pasid));
	if (!tiles_by_hand)
		return;
	memcpy(&cpu.tiles.config, from->value[XF_TILECFG], sizeof(cpu.tiles.config));
	memcpy(cpu.tiles.tile, from->value[XF_TILEDATA], sizeof(cpu.tiles.tile));
	cpu.tiles.used = !regfile_is_initial(XF_TILEDATA);
}

static void from_model(struct regfile_cpu *to)
{
	memcpy(to->value[XF_PASID], &cpu.pasid, sizeof(cpu.pasid));
	if (!tiles_by_hand)
		return;
	memcpy(to->value[XF_TILECFG], &cpu.tiles.config, sizeof(cpu.tiles.config));
	memcpy(to->value[XF_TILEDATA], cpu.tiles.tile, sizeof(cpu.tiles.tile));
}


static void random_registers(void)
{
	u64 used = random_subset(ALL);

	for (u32 i = 0; i < XF_COUNT; i++) {
		u8 value[REGFILE_MAX_COMPONENT] = { 0 };
		struct xsave_area legacy = { .mxcsr = 0 };

		set_initial(&regfile.cpu[0], i);
		if (!(used >> i & 1))
			continue;
		random_legacy(&legacy, XFM_LEGACY, REGFILE_MXCSR_MASK);
		if (i == XF_X87) {
			memcpy(value, &legacy, X87_FIRST);
			memcpy(value + X87_FIRST, legacy.st, sizeof(legacy.st));
		} else if (i == XF_SSE) {
			memcpy(value, &legacy.mxcsr, regfile_size(i));
		} else if (i == XF_PASID) {
			*(u64 *)value = 0x80000000 | random_word() % 1000;
		} else if (i == XF_CET_U) {
			((u64 *)value)[random_word() % 2] = random_word() & 0x7ffffffff000;
		} else {
			random_component(value, i, regfile_size(i));
		}
		regfile_write(i, value);
	}
	to_model();
}

static void start_model(void)
{
	regfile.knobs.init = INIT_BY_CONTENT;
	soft_layout = regfile.layout;
	soft_extend_layout(&soft_layout);
	soft_init(&cpu, &soft_layout, tiles_by_hand ? USER & ~XFM_TILES : USER, &spare);
	cpu.xcr0 = USER;
	cpu.xss = SUPERVISOR;
}

/* XFD is the register file's and the model's own; where XSAVE reaches the tiles the model knows nothing of it. */
static void random_xfd(void)
{
	cpu.xfd = regfile.cpu[0].xfd = tiles_by_hand && random_word() % 2 ? XFM(XF_TILEDATA) : 0;
	cpu.xfd_err = regfile.cpu[0].xfd_err = 0;
}

/* Fails if one byte differs that XSAVES writes or leaves alone; the register file has the same init rule. */
static void model_saves(void **state)
{
	start_model();
	for (u32 i = 0; i < COMPARISONS; i++) {
		u64 rfbm = random_subset(~0ul);

		random_registers();
		random_xfd();
		memset(&first, UNTOUCHED, sizeof(first));
		memset(&second, UNTOUCHED, sizeof(second));
		xsaves64(&first, rfbm);
		assert_int_equal(soft_xsaves(&cpu, &second.area, rfbm), 0);
		if (memcmp(&first, &second, sizeof(first)))
			fail_msg("rfbm %lx, XSTATE_BV %lx and %lx", rfbm, first.area.xstate_bv, second.area.xstate_bv);
	}
	assert_int_equal(regfile.faults, 0);
}

static void load_registers(const struct regfile_cpu *from)
{
	regfile.cpu[0] = *from;
	to_model();
}

static void compare_registers(const struct regfile_cpu *a, struct regfile_cpu *b, u64 rfbm)
{
	from_model(b);
	if (memcmp(&a->legacy, &b->legacy, XSAVE_LEGACY_SIZE))
		fail_msg("rfbm %lx: legacy registers differ", rfbm);
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (memcmp(a->value[i], b->value[i], regfile_size(i)))
			fail_msg("rfbm %lx: %s differs", rfbm, xstate_name(i));
}

/* Fails if XRSTORS and the model leave different registers. */
static void model_restores(void **state)
{
	static struct regfile_cpu start, wanted;

	start_model();
	for (u32 i = 0; i < COMPARISONS; i++) {
		u64 rfbm = random_subset(~0ul);
		int failed;

		random_registers();
		memset(&first, 0, sizeof(first));
		cpu.xfd = regfile.cpu[0].xfd = 0;
		xsaves64(&first, random_subset(ALL));
		random_registers();
		random_xfd();
		start = regfile.cpu[0];
		failed = xrstors64(&first, rfbm);
		wanted = regfile.cpu[0];
		load_registers(&start);
		assert_int_equal(soft_xrstors(&cpu, &first.area, rfbm), failed ? SOFT_NM : 0);
		assert_int_equal(cpu.xfd_err, wanted.xfd_err);
		compare_registers(&wanted, &regfile.cpu[0], rfbm);
	}
}

/* Fails if the model works where the instructions would not: QEMU lets XSAVE and XRSTOR pass. */
static void model_obeys_ts(void **state)
{
	start_model();
	memset(&first, 0, sizeof(first));
	xsaves64(&first, ALL);
	assert_int_equal(regfile.faults, 0);
	stts();
	soft_xsaves(&cpu, &second.area, ALL);
	assert_in_range(regfile.faults, 1, 2);
	assert_int_equal(regfile.last_fault, EXC_NM);
	regfile.faults = 0;
	first.area.header_reserved[0] = 1; /* #NM comes before the image is looked at */
	assert_int_equal(soft_xrstors(&cpu, &first.area, ALL), SOFT_GP);
	assert_int_equal(regfile.last_fault, EXC_NM);
	assert_int_equal(regfile.faults, 1);
}

/* Fails if one damaged bit of an image is judged differently, or a refused image changes a register. */
static void model_refuses(void **state)
{
	static struct regfile_cpu start;

	start_model();
	for (u32 i = 0; i < COMPARISONS; i++) {
		u64 rfbm = random_subset(~0ul), bit = rng_below(&rng, XSAVE_HEADER_SIZE * 8);
		int failed;

		random_registers();
		memset(&first, 0, sizeof(first));
		xsaves64(&first, random_subset(ALL));
		((u8 *)&first.area.xstate_bv)[bit / 8] ^= (u8)(1 << bit % 8);
		random_registers();
		start = regfile.cpu[0];
		failed = xrstors64(&first, rfbm);
		load_registers(&start);
		assert_int_equal(soft_xrstors(&cpu, &first.area, rfbm), failed ? SOFT_GP : 0);
		if (failed)
			compare_registers(&start, &regfile.cpu[0], rfbm);
	}
}

/* --- The same with tiles that XSAVE does not reach --- */

static int set_by_hand(void **state)
{
	tiles_by_hand = true;
	return reset(state);
}

static int clear_by_hand(void **state)
{
	tiles_by_hand = false;
	return 0;
}

static void model_saves_tiles(void **state)
{
	model_saves(state);
}

static void model_restores_tiles(void **state)
{
	model_restores(state);
}

/* Fails if a bad TILECFG image is a fault or is loaded, or if loading it changes tile data. */
static void model_takes_bad_configurations(void **state)
{
	struct amx_config *stored;

	start_model();
	cpu.tiles.used = true;
	memset(cpu.tiles.tile, 5, sizeof(cpu.tiles.tile));
	cpu.tiles.config = (struct amx_config){ .palette = 1, .start_row = 200, .colsb = { 3 }, .rows = { 16 } };
	assert_int_equal(soft_xsaves(&cpu, &second.area, ALL), 0);
	assert_int_equal(second.area.xstate_bv & XFM_TILES, XFM_TILES);
	assert_int_equal(soft_xinuse(&cpu) & XFM_TILES, XFM_TILES);
	stored = (void *)value_place(&soft_layout, &second.area, XF_TILECFG);
	assert_int_equal(soft_xrstors(&cpu, &second.area, XFM(XF_TILECFG)), 0);
	assert_int_equal(cpu.tiles.config.start_row, 200);
	stored->palette = 7;
	assert_int_equal(soft_xrstors(&cpu, &second.area, XFM(XF_TILECFG)), 0);
	assert_true(all_zero(&cpu.tiles.config, sizeof(cpu.tiles.config)));
	assert_int_equal(cpu.tiles.tile[7][15][63], 5);
	assert_int_equal(soft_xinuse(&cpu) & XFM_TILES, XFM(XF_TILEDATA));
	stored->palette = 0;
	assert_int_equal(soft_xrstors(&cpu, &second.area, XFM_TILES), 0);
	assert_true(all_zero(&cpu.tiles.config, sizeof(cpu.tiles.config)));
	assert_true(cpu.tiles.used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(init_optimisation, reset),
		cmocka_unit_test_setup(modified_optimisation, reset),
		cmocka_unit_test_setup(modified_optimisation_ends, reset),
		cmocka_unit_test_setup(torn_restore, reset),
		cmocka_unit_test_setup(absent_page, reset),
		cmocka_unit_test_setup(component_set, reset),
		cmocka_unit_test_setup(xfd, reset),
		cmocka_unit_test_setup(two_cpus, reset),
		cmocka_unit_test_setup(task_switched, reset),
		cmocka_unit_test_setup(model_saves, reset),
		cmocka_unit_test_setup(model_restores, reset),
		cmocka_unit_test_setup(model_refuses, reset),
		cmocka_unit_test_setup(model_obeys_ts, reset),
		cmocka_unit_test_setup_teardown(model_saves_tiles, set_by_hand, clear_by_hand),
		cmocka_unit_test_setup_teardown(model_restores_tiles, set_by_hand, clear_by_hand),
		cmocka_unit_test_setup_teardown(model_takes_bad_configurations, set_by_hand, clear_by_hand),
	};

	return cmocka_run_group_tests_name("regfile", tests, NULL, NULL);
}
