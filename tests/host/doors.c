/*
 * doors.c - fpu/standard.c on the software register file. What a door shows is compared with what XSAVE stores of the
 * same registers, and what it writes with what XRSTOR loads from the same image, so that no expected value comes from
 * the code under test; for every subset of components in use. Then the conversions alone, on the layout of every table
 * in tests/cpuid.
 */
#include <dirent.h>

#include "door_machine.h"
#include "cpuid_table.h"

static const u64 user_sets[] = { 0x3, 0x7, 0x207, 0x2e7, 0x602e7 };

static void each_subset(void (*check)(u64 used))
{
	for (u32 i = 0; i < ARRAY_SIZE(user_sets); i++)
		for (u64 used = user_sets[i];; used = (used - 1) & user_sets[i]) {
			start(user_sets[i]);
			check(used);
			if (!used)
				break;
		}
}

/* --- Reading --- */

static void check_shown(u64 used)
{
	u32 size = fpu_standard_size();

	if (regfile.knobs.init == INIT_BY_CONTENT && shown.area.xstate_bv != wanted.area.xstate_bv)
		fail_msg("used %lx: XSTATE_BV %lx", used, shown.area.xstate_bv);
	wanted.area.xstate_bv = shown.area.xstate_bv;
	for (u32 i = 0; i < size; i++)
		if (shown.bytes[i] != wanted.bytes[i])
			fail_msg("used %lx: byte %u is %x, must be %x", used, i, shown.bytes[i], wanted.bytes[i]);
	for (u32 i = size; i < sizeof(shown); i++)
		if (shown.bytes[i] != POISON)
			fail_msg("used %lx: byte %u, behind the image, was written", used, i);
}

static void read_one(u64 used)
{
	for (int init = INIT_NEVER; init <= INIT_RANDOM; init++) {
		regfile.knobs.init = init;
		fill_registers(fpu_config.xcr0); /* the fpstate has old values of everything */
		fpu_image_save(&cpus[0], &memory.area);
		fill_registers(used);
		xsave_wanted();
		memset(&shown, POISON, sizeof(shown));
		fpu_standard_read(&task, &shown, FPU_EV_REGSET_READ);
		check_shown(used);
		run_on(0);
	}
}

/* Fails if a byte of a frame is not the architecture's: entries 19 and 22, XMM8 to 15, gaps, stale components. */
static void read_all_subsets(void **state)
{
	each_subset(read_one);
}

/* Fails if an integer-only task's image is not that of initial state with its PKRU. */
static void read_integer_only(void **state)
{
	start(0x2e7);
	fill_registers(0);
	wrpkru(8);
	xsave_wanted();
	task.user.fpstate = NULL;
	memset(&shown, POISON, sizeof(shown));
	fpu_standard_read(&task, &shown, FPU_EV_SIGNAL_FRAME);
	assert_int_equal(shown.area.xstate_bv, XFM(XF_PKRU));
	wanted.area.xstate_bv = XFM(XF_PKRU);
	check_shown(0);
}

/* --- Writing --- */

static void random_image(u64 used)
{
	memset(&shown, 0, sizeof(shown));
	shown.area.mxcsr = MXCSR_INIT;
	random_legacy(&shown.area, used, REGFILE_MXCSR_MASK);
	if (used & (XFM(XF_SSE) | XFM(XF_AVX)))
		shown.area.mxcsr = 0x1f80 ^ (u32)(random_word() & 0x6000);
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (used >> i & 1)
			random_component(shown.bytes + regfile.layout.component[i].offset, i, regfile_size(i));
	shown.area.xstate_bv = used;
}

static void check_registers(u64 used, const char *how)
{
	for (u32 i = 0; i < XF_COUNT; i++) {
		u8 found[REGFILE_MAX_COMPONENT] = { 0 }, right[REGFILE_MAX_COMPONENT] = { 0 };
		u32 at = regfile.current;

		if (!(fpu_config.xcr0 >> i & 1))
			continue;
		regfile_read(i, found);
		regfile.current = 1 - at;
		regfile_read(i, right);
		regfile.current = at;
		if (i == XF_SSE)
			memset(found + 4, 0, 4), memset(right + 4, 0, 4); /* the mask */
		if (memcmp(found, right, sizeof(found)))
			fail_msg("%s, used %lx: %s differs", how, used, xstate_name(i));
	}
	assert_int_equal(pasid(), PASID_VALUE);
}

/* XRSTOR of the image on the other CPU says what the registers must be. */
static void let_xrstor_say(void)
{
	regfile.current = 1 - regfile.current;
	assert_int_equal(xrstor64(&shown, fpu_config.xcr0), 0);
	regfile.current = 1 - regfile.current;
}

static void write_one(u64 used)
{
	fill_registers(fpu_config.xcr0);
	random_image(used);
	assert_int_equal(fpu_standard_check(&shown, fpu_config.xcr0), 0);
	fpu_standard_write(&task, &shown, fpu_config.xcr0, FPU_EV_SIGRETURN);
	if (fpu_config.pku)
		assert_int_equal(rdpkru(), task.user.pkru); /* at once */
	run_on(0);
	let_xrstor_say();
	check_registers(used, "running");

	start(fpu_config.xcr0);
	fill_registers(fpu_config.xcr0);
	switch_out();
	fpu_standard_write(&task, &shown, fpu_config.xcr0, FPU_EV_REGSET_WRITE);
	run_on(0);
	let_xrstor_say();
	check_registers(used, "stopped");
}

/*
 * Fails if sigreturn or a debugger sets other registers than XRSTOR does: a component lost, MXCSR lost where AVX alone
 * is named (entry 21), the default PKRU for the initial one (26), PKRU ignored (27), PASID touched (18).
 */
static void write_all_subsets(void **state)
{
	each_subset(write_one);
}

/* Fails if components that the caller does not name keep their values, or PKRU does. */
static void write_legacy_only(void **state)
{
	start(0x602e7);
	fill_registers(0x602e7);
	random_image(0x602e7);
	fpu_standard_write(&task, &shown, XFM_LEGACY, FPU_EV_SIGRETURN);
	run_on(0);
	shown.area.xstate_bv = XFM_LEGACY;
	let_xrstor_say();
	check_registers(XFM_LEGACY, "legacy only");
	assert_int_equal(rdpkru(), 0);
}

/* Fails if a CPU that still holds a stopped task's old values is believed after they were overwritten. */
static void write_while_cached_elsewhere(void **state)
{
	for (u32 on = 0; on < 2; on++) {
		start(0x2e7);
		run_on(0);
		fill_registers(0x2e7);
		switch_out();
		regfile.current = on; /* the debugger's */
		random_image(0x2e7);
		fpu_standard_write(&task, &shown, 0x2e7, FPU_EV_REGSET_WRITE);
		assert_int_equal(task.user.last_cpu, FPU_NO_CPU);
		run_on(0);
		let_xrstor_say();
		check_registers(0x2e7, "cached elsewhere");
	}
}

/* The running task has moved to CPU 1 and not been loaded there; CPU 0 still names it. */
static void write_after_migration(void **state)
{
	start(0x2e7);
	fill_registers(0x2e7);
	switch_out();
	regfile.current = 1;
	running = &task;
	random_image(0x2e7);
	fpu_standard_write(&task, &shown, 0x2e7, FPU_EV_SIGRETURN);
	task.user.pkru = rdpkru();
	running = &other;
	run_on(0);
	let_xrstor_say();
	check_registers(0x2e7, "migrated");
}

static void handler_state(void **state)
{
	start(0x602e7);
	fill_registers(0x602e7);
	fpu_standard_read(&task, &shown, FPU_EV_SIGNAL_FRAME);
	fpu_init_state(&task, 0x55555554, FPU_EV_HANDLER);
	assert_int_equal(rdpkru(), 0x55555554);
	run_on(0);
	for (u32 i = 0; i < XF_COUNT; i++)
		if (0x602e7 >> i & 1 && i != XF_PKRU)
			assert_true(regfile_is_initial(i));
	assert_int_equal(pasid(), PASID_VALUE);
	fpu_standard_write(&task, &shown, 0x602e7, FPU_EV_SIGRETURN);
	run_on(0);
	let_xrstor_say();
	check_registers(0x602e7, "after the handler");
}

/* --- Checking --- */

/* Fails if one bad bit passes (entry 20), or a good image does not. What XRSTORS would refuse must not get by. */
static void check_every_bit(void **state)
{
	start(0x2e7);
	for (u32 bit = 0; bit < XSAVE_HEADER_SIZE * 8; bit++) {
		bool good = bit < 64 && 0x2e7ul >> bit & 1;

		random_image(0);
		shown.bytes[XSAVE_LEGACY_SIZE + bit / 8] ^= (u8)(1 << bit % 8);
		assert_int_equal(fpu_standard_check(&shown, ~0ul), good ? 0 : -EINVAL);
		assert_int_equal(fpu_standard_check(&shown, XFM_LEGACY), bit < 2 ? 0 : -EINVAL);
	}
	for (u32 bit = 0; bit < 32; bit++) {
		random_image(XFM(XF_AVX));
		shown.area.mxcsr = (u32)BIT(bit);
		assert_int_equal(fpu_standard_check(&shown, ~0ul), bit < 16 ? 0 : -EINVAL);
	}
}

/* --- Every layout --- */

/* There and back in memory alone: each component must come back, and no other byte be set. */
static void convert(u64 used, u32 size)
{
	static buffer image;

	make_task();
	running = &other;
	memset(&image, 0, size);
	image.area.fcw = FCW_INIT;
	image.area.mxcsr = MXCSR_INIT;
	image.area.mxcsr_mask = REGFILE_MXCSR_MASK;
	random_legacy(&image.area, used, REGFILE_MXCSR_MASK);
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (used >> i & 1)
			random_bytes(image.bytes + fpu_config.layout.component[i].offset, i == XF_PKRU ? 4 :
				     fpu_config.layout.component[i].size);
	if (used & XFM(XF_PKRU))
		image.bytes[fpu_config.layout.component[XF_PKRU].offset] |= 4; /* 0 would not be in use */
	image.area.xstate_bv = used;
	fpu_standard_write(&task, &image, used, FPU_EV_REGSET_WRITE);
	assert_int_equal(memory.bytes[fpu_config.size], POISON);
	memset(&shown, POISON, sizeof(shown));
	fpu_standard_read(&task, &shown, FPU_EV_REGSET_READ);
	if (memcmp(&shown, &image, size) || shown.bytes[size] != POISON)
		fail_msg("components %lx of %lx", used, fpu_config.xcr0);
}

static void convert_layout(const char *file)
{
	struct xstate_layout layout;
	u64 user;

	read_table(file);
	xstate_probe(&layout, table_cpuid);
	user = xstate_constrain_xcr0(layout.user);
	configure(&layout, user);
	for (u64 used = user;; used = (used - 1) & user) {
		convert(used, fpu_standard_size());
		if (!used)
			break;
	}
}

/* Fails if an offset is another set's, or the other format's (entry 23), on a CPU that this machine is not. */
static void convert_every_layout(void **state)
{
	DIR *folder = opendir(CPUID_TABLES);
	struct dirent *entry;

	assert_non_null(folder);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			convert_layout(entry->d_name);
	closedir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_all_subsets),
		cmocka_unit_test(read_integer_only),
		cmocka_unit_test(write_all_subsets),
		cmocka_unit_test(write_legacy_only),
		cmocka_unit_test(write_while_cached_elsewhere),
		cmocka_unit_test(write_after_migration),
		cmocka_unit_test(handler_state),
		cmocka_unit_test(check_every_bit),
		cmocka_unit_test(convert_every_layout),
	};

	return cmocka_run_group_tests_name("doors", tests, NULL, NULL);
}
