/*
 * frame.c - fpu/frame.c on the software register file: the FPU's part of a signal frame, there and back through user
 * memory that may be damaged, shorter than ours, or full of holes. User memory counts how often it is read: a budget of
 * steps stands for "makes progress". The stack is poisoned (tests/Makefile.inc), and so is what is allocated.
 */
#include "door_machine.h"

#include "kernel/uaccess.h"
#define extended extended_frame /* standard.c has one */
#include "fpu/frame.c"

#define ALL 0x602e7ul
#define STEPS 64

static buffer user;
static const u8 *hole, *hole_end;
static u32 steps;

size_t copy_user(void *dst, const void *src, size_t n)
{
	const u8 *from = src;
	size_t good = from < hole_end && from + n > hole ? (size_t)MAX(hole - from, 0l) : n;

	if (++steps > STEPS)
		fail_msg("I-PROG: the frame is read again and again");
	memcpy(dst, src, good);
	return n - good;
}

struct xsave_area *fpu_area_alloc(u32 size)
{
	return memset(aligned_alloc(XSAVE_ALIGN, ALIGN_UP(size, XSAVE_ALIGN)), POISON, size);
}

void fpu_area_free(struct xsave_area *area)
{
	free(area);
}

/* --- A signal --- */

static struct regfile_cpu interrupted;

static void compare(u64 restored, const char *how)
{
	static struct regfile_cpu initial;
	u8 found[REGFILE_MAX_COMPONENT] = { 0 }, right[REGFILE_MAX_COMPONENT] = { 0 };

	for (u32 i = 0; i < XF_COUNT; i++)
		set_initial(&initial, i);
	for (u32 i = 0; i < XF_COUNT; i++) {
		if (!(fpu_config.xcr0 >> i & 1))
			continue;
		regfile_read(i, found);
		regfile.cpu[1] = restored >> i & 1 ? interrupted : initial;
		regfile.current = 1;
		regfile_read(i, right);
		regfile.current = 0;
		if (memcmp(found, right, regfile_size(i)))
			fail_msg("%s: %s differs", how, xstate_name(i));
	}
	assert_int_equal(pasid(), PASID_VALUE);
}

/* The frame is in user memory, the handler has run, and the registers are its own. */
static void deliver(u64 used)
{
	void *image;

	start(ALL);
	steps = 0;
	hole = hole_end = NULL;
	memset(&user, POISON, sizeof(user));
	regfile.knobs.init = INIT_BY_CONTENT;
	fill_registers(used);
	xsave_wanted();
	interrupted = regfile.cpu[0];
	image = fpu_frame_make(&task);
	assert_non_null(image);
	memcpy(&user, image, fpu_frame_size(ALL));
	fpu_frame_free(image);
	fpu_frame_handler(&task);
	run_on(0);
	fill_registers(ALL);
}

static long come_back(void)
{
	void *image = NULL;
	long error = fpu_frame_read((u64)&user, &image);

	if (error)
		return error;
	fpu_frame_return(&task, image, 0);
	fpu_frame_free(image);
	run_on(0);
	return 0;
}

/* --- What is good --- */

/* Fails if a handler that leaves its frame alone costs the program a component (entry 16a). */
static void comes_back(void **state)
{
	for (u64 used = ALL;; used = (used - 1) & ALL) {
		deliver(used);
		assert_int_equal(come_back(), 0);
		compare(ALL, "after the handler");
		if (!used)
			break;
	}
}

/* Fails if a byte of the frame is not defined by Linux's layout (16b). */
static void every_byte(void **state)
{
	const u32 size = fpu_standard_size();
	const u64 sw[6] = { 0x46505853 | (u64)(size + 4) << 32, ALL, size };

	for (u64 used = ALL;; used = (used - 1) & ALL) {
		deliver(used);
		memcpy(wanted.bytes + 464, sw, sizeof(sw));
		memcpy(wanted.bytes + size, "EXPF", 4);
		wanted.area.xstate_bv |= XFM_LEGACY;
		for (u32 i = 0; i < size + 4; i++)
			if (user.bytes[i] != wanted.bytes[i])
				fail_msg("byte %u of the frame is %x, must be %x", i, user.bytes[i], wanted.bytes[i]);
		if (!used)
			break;
	}
}

/* From a machine that has components up to there only: the size is in the frame, and the magic word at its end. */
static u64 cut(u32 size)
{
	u64 within = XFM_LEGACY;

	memcpy(user.bytes + 480, &size, sizeof(size));
	memset(user.bytes + size, POISON, sizeof(user) - size);
	memcpy(user.bytes + size, "EXPF", 4);
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (ALL >> i & 1 && components[i].offset + components[i].size <= size)
			within |= XFM(i);
	return within;
}

/* Fails if what such a frame has is lost, or what it has not is kept (16c). */
static void smaller_frame(void **state)
{
	for (u32 i = XF_AVX; i < XF_COUNT; i++) {
		if (!(ALL >> i & 1))
			continue;
		deliver(ALL);
		const u64 within = cut(components[i].offset + components[i].size);

		assert_int_equal(come_back(), 0);
		compare(within, "a smaller frame");
	}
}

/* Fails if an update of one component may come while the frame that it would be missing from is under way. */
static void under_way(void **state)
{
	void *image = NULL;
	u32 keys;

	deliver(ALL);
	wrpkru(8);
	keys = fpu_frame_open_keys(&task);
	assert_int_equal(keys, 8);
	assert_int_equal(rdpkru(), 0);
	assert_true(task.user.in_frame);
	fpu_frame_close_keys(&task, keys);
	assert_int_equal(rdpkru(), 8);
	assert_false(task.user.in_frame);
	fpu_frame_free(fpu_frame_make(&task));
	fpu_frame_open_keys(&task);
	fpu_frame_handler(&task);
	assert_false(task.user.in_frame);
	fpu_frame_open_keys(&task);
	assert_int_equal(fpu_frame_read((u64)&user, &image), 0);
	assert_true(task.user.in_frame);
	fpu_frame_return(&task, image, 0);
	fpu_frame_free(image);
	assert_false(task.user.in_frame);
}

/* --- What is not --- */

static void refused(u32 at, u8 bit, const char *what)
{
	deliver(ALL);
	interrupted = regfile.cpu[0];
	user.bytes[at] ^= bit;
	assert_int_equal(come_back(), -EINVAL);
	run_on(0);
	compare(ALL, what);
}

/* Fails if a frame is believed before it has been checked: the task keeps every register that it had (13). */
static void refused_changes_nothing(void **state)
{
	for (u32 bit = 0; bit < XSAVE_HEADER_SIZE * 8; bit++)
		if (bit >= 64 || !(ALL >> bit & 1))
			refused(XSAVE_LEGACY_SIZE + bit / 8, (u8)(1 << bit % 8), "a bad header was refused");
	for (u32 bit = 0; bit < 16; bit++)
		refused(offsetof(struct xsave_area, mxcsr) + 2 + bit / 8, (u8)(1 << bit % 8), "a bad MXCSR was refused");
}

/* True if a frame of that size has a component in use at these bytes, or its header; the rest is nothing. */
static bool needed(u32 at, u32 size)
{
	bool found = at < XSAVE_EXTENDED && at < size;
	u64 used;

	memcpy(&used, user.bytes + XSAVE_LEGACY_SIZE, sizeof(used));

	for (u32 i = XF_AVX; i < XF_COUNT; i++) {
		u32 end = components[i].offset + components[i].size;

		if (used >> i & 1 && end <= size)
			found |= at < end && at + XSAVE_ALIGN > components[i].offset;
	}
	return found;
}

/* Fails if what the user says about sizes decides how often the kernel tries (15). */
static void holes_end(void **state)
{
	for (u32 i = XF_SSE; i < XF_COUNT; i++) {
		u32 size = i == XF_SSE ? XSAVE_EXTENDED : components[i].offset + components[i].size;

		for (u32 at = 0; ALL >> i & 1 && at < fpu_frame_size(ALL); at += XSAVE_ALIGN) {
			deliver(ALL);
			const u64 within = cut(size);

			hole = user.bytes + at;
			hole_end = hole + XSAVE_ALIGN;
			if (at < XSAVE_LEGACY_SIZE || (needed(at, size) && at + XSAVE_ALIGN <= size)) {
				assert_int_equal(come_back(), -EFAULT);
				continue;
			}
			assert_int_equal(come_back(), 0); /* without its magic word it is an old one */
			compare(at <= size && at + XSAVE_ALIGN > size ? XFM_LEGACY : within, "a frame with a hole in nothing");
		}
	}
}

/* --- The load itself --- */

/* Fails if a load that has torn leaves the registers' last owner in its place (14). */
static void torn_load(void **state)
{
	struct fpu_task thief;

	for (int after = 0; after < __builtin_popcountl((ALL | SUPERVISOR) & ~XFM(XF_PKRU)); after++) {
		start(ALL);
		fill_registers(ALL);
		interrupted = regfile.cpu[0];
		switch_out();
		fpu_image_reset(&shown.area, fpu_config.mask);
		thief = (struct fpu_task){ .own_flags = TASK_NEED_FPU_LOAD, .user.fpstate = &shown.area };
		thief.active = &thief.user;
		fpu_context_born(&thief.user);
		running = &thief;
		regfile.knobs.torn_after = after;
		assert_false(fpregs_move_to_cpu(&cpus[0], &thief, FPU_EV_EXIT_TO_USER));
		assert_int_equal(regfile.faults, 1);
		regfile.faults = 0;
		run_on(0);
		compare(ALL, "after another's load has torn");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(smaller_frame),
		cmocka_unit_test(under_way),
		cmocka_unit_test(refused_changes_nothing),
		cmocka_unit_test(holes_end),
		cmocka_unit_test(torn_load),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
