/*
 * update.c - fpu/update.c on the software register file: one component changed in every state that a context can be
 * in, with both endings, and nothing else.
 */
#include "door_machine.h"

/* --- One component --- */

static void update_one(enum fpu_state was, u32 feature)
{
	struct fpu_update update;
	u8 before[REGFILE_MAX_COMPONENT] = { 0 }, after[REGFILE_MAX_COMPONENT] = { 0 }, *value;
	u32 size = feature == XF_PKRU ? 4 : regfile_size(feature);
	u64 used = random_word() & 0x602e7;

	start(0x602e7);
	fpu_image_save(&cpus[0], &memory.area);
	memset(memory.bytes + XSAVE_EXTENDED, POISON, fpu_config.size - XSAVE_EXTENDED);
	regfile.knobs.init = INIT_BY_CONTENT;
	fill_registers(used);
	if (random_word() & 1)
		set_initial(&regfile.cpu[0], feature);
	regfile_read(feature, before);
	xsave_wanted();
	if (was != FPU_ACTIVE)
		switch_out();
	if (was == FPU_INACTIVE)
		cpus[0].owner = NULL;
	if (was != FPU_NONE) /* else stopped */
		running = &task;
	value = fpu_update_begin(&update, &task, feature);
	assert_non_null(value);
	assert_memory_equal(value, before, size);
	value[0] ^= 4;
	before[0] ^= 4;
	fpu_update_finish(&update);
	run_on(0);
	regfile_read(feature, after);
	assert_memory_equal(after, before, size);
	memcpy(&shown, &wanted, sizeof(shown));
	xsave_wanted();
	if (!(feature == XF_PASID || feature == XF_CET_U))
		memcpy(shown.bytes + regfile.layout.component[feature].offset, before, size);
	shown.area.xstate_bv = wanted.area.xstate_bv;
	assert_memory_equal(&shown, &wanted, fpu_standard_size());
}

/* Fails if the value handed out is not the present one, wherever it was, or another component is lost (seed 003). */
static void update_every_state(void **state)
{
	static const u32 features[] = { XF_AVX, XF_OPMASK, XF_PKRU, XF_PASID, XF_TILECFG };
	static const char *const options[] = { "flag", "load" };

	for (u32 o = 0; o < ARRAY_SIZE(options); o++) {
		update_option = options[o];
		fpu_update_init();
		for (u32 i = 0; i < ARRAY_SIZE(features); i++)
			for (u32 was = FPU_NONE; was < FPU_STATES; was++)
				for (u32 round = 0; round < 50; round++)
					update_one(was, features[i]);
	}
}

/* Fails if update=load loads more than the one component, or flag any. */
static void update_counts(void **state)
{
	struct fpu_update update;

	update_option = "load";
	fpu_update_init();
	start(0x2e7);
	fill_registers(0x2e7);
	*(u64 *)fpu_update_begin(&update, &task, XF_PASID) = 9;
	fpu_update_finish(&update);
	assert_int_equal(fpregs_state(&cpus[0], &task), FPU_ACTIVE);
	assert_int_equal(pasid(), 9);
	assert_int_equal(cpus[0].counters.updates_loaded, 1);
	update_option = "flag";
	fpu_update_init();
	*(u64 *)fpu_update_begin(&update, &task, XF_PASID) = 7;
	fpu_update_finish(&update);
	assert_int_equal(fpregs_state(&cpus[0], &task), FPU_INACTIVE);
	assert_int_equal(pasid(), 9);
	assert_int_equal(cpus[0].counters.updates_flagged, 1);
	assert_null(fpu_update_begin(&update, &task, XF_SSE));
	assert_null(fpu_update_begin(&update, &task, XF_UINTR));
	task.user.fpstate = NULL;
	assert_null(fpu_update_begin(&update, &task, XF_AVX));
	assert_int_equal(locks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(update_every_state),
		cmocka_unit_test(update_counts),
	};

	return cmocka_run_group_tests_name("update", tests, NULL, NULL);
}
