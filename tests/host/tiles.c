/*
 * tiles.c - tiles as a CPU with AMX and XFD has them, on the software register file: no machine here can run that in
 * ring 0. The real code of fpu/ for switches, first use, fork, exec, sleep and CPUs that come and go; the register file
 * raises #NM where XRSTORS meets XFD.
 */
#include "door_machine.h"

#include "fpu/intonly.h"
#include "fpu/life.c"
#include "fpu/switch.h"
#include "fpu/tiles.c"

#define ALL 0x602e7ul
#define DYNAMIC XFM(XF_TILEDATA)

static struct fpu_task first, second;
static u32 areas;

struct xsave_area *fpu_area_alloc(u32 size)
{
	areas++;
	return memset(aligned_alloc(XSAVE_ALIGN, ALIGN_UP(size, XSAVE_ALIGN)), POISON, size);
}

void fpu_area_free(struct xsave_area *area)
{
	areas -= area != NULL;
	free(area);
}

void fpu_intonly_disturb(struct fpu_task *task)
{
	assert_non_null(task->user.fpstate);
}

/* --- Two tasks --- */

static void configure_tiles(void)
{
	start(ALL);
	fpu_config.real_xcr0 = ALL;
	fpu_config.dynamic = DYNAMIC;
	fpu_config.full_size = fpu_config.size;
	fpu_config.size = xstate_compact_size(&fpu_config.layout, fpu_config.mask & ~DYNAMIC);
	fpu_image_prepare(&initial.area);
	regfile.knobs.init = INIT_BY_CONTENT;
	for (u32 i = 0; i < REGFILE_CPUS; i++) {
		regfile.current = i;
		fpu_cpu_up(&cpus[i]);
	}
	regfile.current = 0;
	areas = 0;
	assert_true(fpu_create(&first, false) && fpu_create(&second, false));
	running = NULL;
}

static int finish(void **state)
{
	fpu_free(&first);
	fpu_free(&second);
	assert_int_equal(areas, 0);
	assert_int_equal(regfile.faults, 0);
	return 0;
}

static void leave_cpu(void)
{
	if (running)
		fpu_switch_out(running);
	running = NULL;
}

/* In user mode, on that CPU. */
static void run_task(struct fpu_task *next, u32 cpu)
{
	if (running != next || regfile.current != cpu) {
		leave_cpu();
		regfile.current = cpu;
		running = next;
		fpu_switch_in(next);
	}
	assert_true(fpregs_move_to_cpu(&cpus[cpu], next, FPU_EV_EXIT_TO_USER));
	assert_int_equal(regfile.cpu[cpu].xfd, next->user.xfd);
	assert_int_equal(cpus[cpu].xfd, next->user.xfd);
}

static void write_byte(u32 feature, u8 byte)
{
	u8 value[REGFILE_MAX_COMPONENT] = { 0 };

	memset(value, byte, feature == XF_TILECFG ? 0 : sizeof(value));
	if (feature == XF_TILECFG) { /* palette, one tile */
		value[0] = 1;
		value[16] = 64;
		value[48] = byte % 16 + 1;
	}
	regfile_write(feature, value);
}

static u8 byte_in(u32 feature)
{
	u8 value[REGFILE_MAX_COMPONENT] = { 0 };

	regfile_read(feature, value);
	return feature == XF_TILECFG ? value[48] : value[regfile_size(feature) - 1];
}

static void use_tiles(struct fpu_task *user, u8 byte)
{
	run_task(user, regfile.current);
	if (user->user.xfd)
		assert_true(fpu_first_use(user, DYNAMIC));
	write_byte(XF_TILECFG, byte);
	write_byte(XF_TILEDATA, byte);
}

/* --- First use --- */

/* Fails if a value is lost while the fpstate is exchanged, wherever it was, or the new one lacks room. */
static void first_use_in_every_state(void **state)
{
	for (u32 was = FPU_ACTIVE; was < FPU_STATES; was++) {
		configure_tiles();
		run_task(&first, 0);
		write_byte(XF_AVX, 7);
		write_byte(XF_TILECFG, 3);
		if (was != FPU_ACTIVE) {
			leave_cpu();
			running = &first;
			fpu_switch_in(&first);
		}
		if (was == FPU_INACTIVE)
			fpregs_claim(&cpus[0], NULL);
		assert_int_equal(fpregs_state(&cpus[0], &first), was);
		assert_true(fpu_first_use(&first, DYNAMIC));
		assert_int_equal(regfile.cpu[0].xfd, 0);
		assert_int_equal(areas, 2);
		assert_true(regfile_is_initial(XF_TILEDATA));
		write_byte(XF_TILEDATA, 9);
		run_task(&second, 0);
		write_byte(XF_AVX, 1);
		run_task(&first, 1);
		assert_int_equal(byte_in(XF_AVX), 7);
		assert_int_equal(byte_in(XF_TILECFG), 4);
		assert_int_equal(byte_in(XF_TILEDATA), 9);
		finish(NULL);
	}
	configure_tiles();
}

/* --- Switches --- */

/* Fails if XFD is another task's where registers are saved or loaded (museum entry 35). */
static void two_tasks_on_two_cpus(void **state)
{
	u8 tiles[2] = { 0, 0 };
	struct fpu_task *tasks[] = { &first, &second };

	configure_tiles();
	for (u32 i = 0; i < 3000; i++) {
		u32 who = random_word() % 2, cpu = random_word() % 2;

		run_task(tasks[who], cpu);
		if (tiles[who])
			assert_int_equal(byte_in(XF_TILEDATA), tiles[who]);
		else
			assert_true(regfile_is_initial(XF_TILEDATA));
		if (random_word() % 4 == 0 && (i > 1000 || !who) && (i > 2000 || who))
			use_tiles(tasks[who], tiles[who] = (u8)(1 + random_word() % 250));
		if (random_word() % 8 == 0) {
			leave_cpu();
			fpu_idle(&cpus[cpu]);
			assert_true(regfile_is_initial(XF_TILEDATA));
		}
	}
}

static void a_cpu_comes_back(void **state)
{
	configure_tiles();
	run_task(&first, 1);
	leave_cpu();
	regfile.cpu[1].xfd = 0; /* INIT */
	fpu_cpu_down(&cpus[1]);
	fpu_cpu_up(&cpus[1]);
	run_task(&first, 1);
	use_tiles(&first, 20);
	leave_cpu();
	regfile.cpu[1].xfd = 0;
	fpu_cpu_down(&cpus[1]);
	fpu_cpu_up(&cpus[1]);
	run_task(&first, 1);
	assert_int_equal(byte_in(XF_TILEDATA), 20);
}

/* Fails if the tiles are released behind the owner's back, or stay in a CPU that sleeps (museum entry 36). */
static void idle_releases(void **state)
{
	configure_tiles();
	use_tiles(&first, 5);
	leave_cpu();
	assert_int_equal(first.user.fpstate->xstate_bv & XFM_TILES, XFM_TILES);
	fpu_idle(&cpus[0]);
	assert_int_equal(xgetbv(1) & XFM_TILES, 0);
	run_task(&first, 0);
	assert_int_equal(byte_in(XF_TILEDATA), 5);
	leave_cpu();
	fpregs_claim(&cpus[0], fpu_kernel_owner);
	fpu_idle(&cpus[0]);
	assert_ptr_equal(cpus[0].owner, fpu_kernel_owner);
	run_task(&second, 0);
	leave_cpu();
	fpu_idle(&cpus[0]);
	assert_ptr_equal(cpus[0].owner, &second.user); /* nothing to release, and nothing lost */
}

/* --- Fork and exec --- */

static void a_child_has_no_tiles(void **state)
{
	configure_tiles();
	use_tiles(&first, 6);
	write_byte(XF_AVX, 8);
	fpu_fork(&second);
	assert_int_equal(second.user.fpstate->xcomp_bv, XCOMP_COMPACTED | (fpu_config.mask & ~DYNAMIC));
	run_task(&second, 0);
	assert_int_equal(byte_in(XF_AVX), 8);
	assert_int_equal(byte_in(XF_TILECFG), 7);
	assert_true(regfile_is_initial(XF_TILEDATA));
	run_task(&first, 0);
	assert_int_equal(byte_in(XF_TILEDATA), 6);
}

static void exec_starts_small(void **state)
{
	struct xsave_area *spare;

	configure_tiles();
	assert_true(fpu_exec_prepare(&first, false, &spare));
	assert_null(spare); /* has the right size already */
	use_tiles(&first, 6);
	assert_true(fpu_exec_prepare(&first, false, &spare));
	assert_non_null(spare);
	fpu_exec_finish(fpu_exec(&first, false, spare));
	assert_int_equal(areas, 2);
	assert_int_equal(first.user.xfd, DYNAMIC);
	run_task(&first, 0);
	assert_true(regfile_is_initial(XF_TILEDATA) && regfile_is_initial(XF_TILECFG));
	run_task(&second, 0);
	run_task(&first, 1);
}

/* --- Doors --- */

/* Fails if an image is as long as tiles that the task does not have, or takes them where there is no room. */
static void images_fit_the_task(void **state)
{
	u32 small = xstate_standard_size(&fpu_config.layout, ALL & ~DYNAMIC);

	configure_tiles();
	run_task(&first, 0);
	memset(&shown, POISON, sizeof(shown));
	fpu_standard_read_own(&first, &shown, FPU_EV_SIGNAL_FRAME);
	assert_int_equal(shown.bytes[small - 1], 0);
	assert_int_equal(shown.bytes[small], POISON);
	fpu_standard_read(&first, &shown, FPU_EV_REGSET_READ);
	assert_int_equal(shown.bytes[small], 0);
	assert_int_equal(fpu_standard_features(&first), ALL & ~DYNAMIC);
	shown.area.xstate_bv = XFM(XF_AVX) | DYNAMIC;
	memset(shown.bytes + small, 4, fpu_standard_size() - small);
	memset(shown.bytes + regfile.layout.component[XF_AVX].offset, 4, 256);
	fpu_standard_write(&first, &shown, ALL, FPU_EV_SIGRETURN);
	assert_int_equal(first.user.fpstate->xstate_bv & DYNAMIC, 0);
	run_task(&first, 0);
	assert_int_equal(byte_in(XF_AVX), 4);
	use_tiles(&first, 3);
	fpu_standard_write(&first, &shown, ALL, FPU_EV_SIGRETURN);
	run_task(&first, 0);
	assert_int_equal(byte_in(XF_TILEDATA), 4);
}

static void xfd_err_is_taken_once(void **state)
{
	struct soft_cpu model = { .xfd_err = DYNAMIC };

	configure_tiles();
	regfile.cpu[0].xfd_err = DYNAMIC;
	assert_int_equal(fpu_take_xfd_err(&cpus[0]), DYNAMIC);
	assert_int_equal(fpu_take_xfd_err(&cpus[0]), 0);
	assert_int_equal(regfile.cpu[0].xfd_err, 0);
	fpu_config.native = false;
	cpus[0].soft = &model;
	assert_int_equal(fpu_take_xfd_err(&cpus[0]), DYNAMIC);
	assert_int_equal(fpu_take_xfd_err(&cpus[0]), 0);
	cpus[0].soft = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(first_use_in_every_state, finish),
		cmocka_unit_test_teardown(two_tasks_on_two_cpus, finish),
		cmocka_unit_test_teardown(a_cpu_comes_back, finish),
		cmocka_unit_test_teardown(idle_releases, finish),
		cmocka_unit_test_teardown(a_child_has_no_tiles, finish),
		cmocka_unit_test_teardown(exec_starts_small, finish),
		cmocka_unit_test_teardown(images_fit_the_task, finish),
		cmocka_unit_test_teardown(xfd_err_is_taken_once, finish),
	};

	return cmocka_run_group_tests_name("tiles", tests, NULL, NULL);
}
