/*
 * pointers.c - the x87's FOP, FIP and FDP, which say where a program executed its last x87 instruction and on what. A
 * CPU whose XRSTOR leaves them alone unless an exception is pending must not show one task another's (museum entry 34);
 * a pending exception's own are its task's on every CPU, whole. The model, for such a CPU has no XSAVES, with the real
 * code of fpu/ around it, on the software register file.
 */
#include "host.h"

#include "fpu/soft.h"
#define WITH_MODEL
#define save image_save /* fpu/soft.c has one, too */
#include "door_machine.h"

#undef save
/* Functions of the same names are in fpu/standard.c. */
#define standard soft_standard
#define compacted soft_compacted
#define copy_legacy soft_copy_legacy
#include "fpu/amx_ops.c"
#include "fpu/soft.c"
#include "fpu/soft_supervisor.c"
#include "fpu/soft_tiles.c"

#define ALL 0x2e7ul
#define FSW_PENDING 0x8081 /* ES and B, invalid operation */
#define FCW_UNMASKED 0x37e
#define ADDRESS 0x00007f1234567890ul /* more than 32 bits */

static buffer others, scratch;
static struct soft_cpu model;

static struct xsave_area *x87(void)
{
	return &regfile.cpu[regfile.current].legacy;
}

/* Two tasks on a CPU, the first in user mode. */
static void begin(bool keeps)
{
	start(ALL);
	soft_init(&model, &fpu_config.layout, ALL, &scratch);
	model.xss = fpu_config.xss;
	model.keeps_fip = keeps;
	cpus[0].soft = &model;
	fpu_config.native = false;
	regfile.knobs.fip_skipped_unless_ES = keeps;
	memset(&others, POISON, sizeof(others));
	fpu_image_reset(&others.area, fpu_config.mask);
	other = (struct fpu_task){ .own_flags = TASK_NEED_FPU_LOAD, .user = { .fpstate = &others.area } };
	other.active = &other.user;
	fpu_context_born(&other.user);
}

static void execute_x87(u64 address)
{
	fill_registers(ALL);
	x87()->fcw = FCW_INIT;
	x87()->fsw = 0;
	x87()->fop = 0x1d9;
	x87()->fip = address;
	x87()->fdp = address + 4096;
}

static void switch_to_other(void)
{
	switch_out();
	assert_true(fpregs_move_to_cpu(&cpus[0], &other, FPU_EV_EXIT_TO_USER));
}

static void switch_back(void)
{
	fpregs_copy_to_memory(&cpus[0], &other, FPU_EV_SWITCH_OUT);
	run_on(0);
}

static void nobody_elses(void)
{
	if (x87()->fop || x87()->fip || x87()->fdp)
		fail_msg("FOP %x, FIP %lx, FDP %lx are another task's", x87()->fop, x87()->fip, x87()->fdp);
}

/* Whether or not the other one has x87 values of its own to load. */
static void leak(void **state)
{
	for (int init = INIT_NEVER; init <= INIT_RANDOM; init++) {
		begin(true);
		regfile.knobs.init = init;
		execute_x87(ADDRESS);
		switch_to_other();
		nobody_elses();
		x87()->ftw = 1; /* in use */
		x87()->st[0][0] = 7;
		switch_back();
		x87()->fip = ADDRESS;
		switch_to_other();
		nobody_elses();
		assert_int_equal(x87()->st[0][0], 7);
	}
}

static void pending(bool keeps)
{
	begin(keeps);
	execute_x87(ADDRESS);
	x87()->fcw = FCW_UNMASKED;
	x87()->fsw = FSW_PENDING;
	xsave_wanted();
	switch_to_other();
	nobody_elses();
	assert_int_equal(x87()->fsw, 0);
	fpu_standard_read(&task, &shown, FPU_EV_REGSET_READ);
	assert_memory_equal(&shown, &wanted, X87_FIRST);
	switch_back();
	assert_memory_equal(x87(), &wanted, X87_FIRST);
}

/* A debugger is shown them, too. */
static void pending_exception(void **state)
{
	pending(false);
	pending(true);
}

/* On a CPU without the flaw nothing is cleared, and nothing cut. */
static void whole_pointers(void **state)
{
	begin(false);
	execute_x87(ADDRESS);
	xsave_wanted();
	switch_to_other();
	nobody_elses();
	switch_back();
	assert_memory_equal(x87(), &wanted, X87_FIRST);
}

/* One component's load must not touch the x87 registers, with the flaw or without. */
static void other_components(void **state)
{
	struct fpu_update update;
	struct xsave_area before;
	u8 *avx;

	update_option = "load";
	begin(true);
	fpu_update_init();
	execute_x87(ADDRESS);
	before = *x87();
	avx = fpu_update_begin(&update, &task, XF_AVX);
	avx[0] ^= 1;
	fpu_update_finish(&update);
	assert_int_equal(task.own_flags & TASK_NEED_FPU_LOAD, 0);
	assert_memory_equal(x87(), &before, sizeof(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leak),
		cmocka_unit_test(pending_exception),
		cmocka_unit_test(whole_pointers),
		cmocka_unit_test(other_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
