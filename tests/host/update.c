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

/* --- Counters --- */

static void choose(const char *option)
{
	update_option = option;
	fpu_update_init();
}

/* The running task's component becomes 8, and has been found and made so. */
static void update_and_count(u32 feature, enum fpu_found found, enum fpu_ending ending, enum fpu_state left_in)
{
	struct fpu_counters before = cpus[0].counters;
	struct fpu_update update;
	u64 *value = fpu_update_begin(&update, &task, feature);

	assert_non_null(value);
	value[0] = 8;
	fpu_update_finish(&update);
	assert_int_equal(cpus[0].counters.updates_found[found], before.updates_found[found] + 1);
	assert_int_equal(cpus[0].counters.updates_ended[ending], before.updates_ended[ending] + 1);
	assert_int_equal(fpregs_state(&cpus[0], &task), left_in);
}

/* Fails if update=load loads more than the one component, or flag any, or what has an instruction goes by memory. */
static void update_counts(void **state)
{
	for (u32 init = 0; init < 2; init++) {
		const enum fpu_found found = init ? FPU_FOUND_INIT : FPU_FOUND_REGISTERS;

		start(0x2e7);
		regfile.knobs.init = INIT_BY_CONTENT;
		fill_registers(init ? 0 : 0x2e7);
		if (init)
			set_initial(&regfile.cpu[0], XF_PASID);
		else
			wrpkru(4), regfile_write(XF_OPMASK, &(u64[8]){ 1 }), regfile_write(XF_AVX, &(u64[32]){ 1 });
		choose("load");
		update_and_count(XF_PKRU, found, FPU_ENDED_DIRECT, FPU_ACTIVE);
		update_and_count(XF_PASID, found, FPU_ENDED_DIRECT, FPU_ACTIVE);
		assert_int_equal(pasid(), 8); /* at once */
		assert_int_equal(cpus[0].counters.saves, 0);
		update_and_count(XF_AVX, found, FPU_ENDED_LOAD, FPU_ACTIVE);
		assert_int_equal(cpus[0].counters.bytes_loaded, 2 * XSAVE_HEADER_SIZE + 256);
		choose("flag");
		update_and_count(XF_OPMASK, found, FPU_ENDED_FLAG, FPU_INACTIVE);
		update_and_count(XF_PASID, FPU_FOUND_MEMORY, FPU_ENDED_FLAG, FPU_INACTIVE);
		assert_int_equal(cpus[0].counters.loads, 2);
	}
}

/* Fails if a component is offered that the task has not. */
static void update_refused(void **state)
{
	struct fpu_update update;

	start(0x2e7);
	assert_null(fpu_update_begin(&update, &task, XF_SSE));
	assert_null(fpu_update_begin(&update, &task, XF_UINTR));
	task.user.fpstate = NULL;
	assert_null(fpu_update_begin(&update, &task, XF_AVX));
	assert_non_null(fpu_update_begin(&update, &task, XF_PKRU));
	fpu_update_finish(&update);
	assert_int_equal(locks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(update_every_state),
		cmocka_unit_test(update_counts),
		cmocka_unit_test(update_refused),
	};

	return cmocka_run_group_tests_name("update", tests, NULL, NULL);
}
