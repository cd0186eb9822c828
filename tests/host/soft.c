/*
 * soft.c - the model of the compacted instructions against this machine's own, in user mode: the same
 * registers are saved by both, and the same image is restored by both, for all subsets of the components that
 * the machine has. Compared are values: a component that XSTATE_BV leaves out has its initial one, and real
 * CPUs may call a component in use that is not.
 */
#include <signal.h>
#include <sys/mman.h>

#include "soft_machine.h"

static struct rng rng = { 20180618 };

static u64 random_word(void)
{
	return rng_next(&rng);
}

#include "xsave_data.h"

#define COMBINATIONS 40000 /* of components in use and RFBM, each with other contents, on a CPU with few */
#define UNTOUCHED 0xc3

static struct soft_cpu cpu;
static u32 rounds;
static struct xsave_area *start, *image, *real, *model; /* start: the registers that the program had */

static int set_up(void **state)
{
	if (!find_components())
		return 0;
	rounds = MAX(COMBINATIONS >> 2 * __builtin_popcountl(features), 2);
	start = new_area(), image = new_area(), real = new_area(), model = new_area();
	xsave64(start, features);
	soft_init(&cpu, &layout, features, new_area());
	return 0;
}

static bool no_xsavec(void)
{
	if (layout.xsavec && layout.xgetbv1)
		return false;
	print_message("this CPU has no XSAVEC\n");
	return true;
}

static void load(const struct xsave_area *area)
{
	if (xrstor64(area, features))
		abort();
}

/* A standard image with random contents of the components in `used`. */
static void random_image(u64 used)
{
	memset(image, 0, MAX_AREA);
	image->mxcsr = MXCSR_INIT;
	random_legacy(image, used, cpu.mxcsr_mask);
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (used & BIT(i))
			random_component((u8 *)image + layout.component[i].offset, i, layout.component[i].size);
	image->xstate_bv = used;
}

/* --- Saving --- */

static void compare_saved(u64 rfbm)
{
	u64 stored = model->xstate_bv;
	long stray;

	assert_int_equal(model->xcomp_bv, real->xcomp_bv);
	assert_int_equal(stored & ~real->xstate_bv, 0);
	for (u32 i = 0; i < XF_COUNT; i++)
		if (rfbm & features & BIT(i) && !same_value(&layout, real, model, i))
			fail_msg("rfbm %lx: %s differs", rfbm, xstate_name(i));
	/* Nothing else was written: the last 48 bytes of the header, the gaps, what was not in use. */
	stray = first_stray_byte(&layout, model, MAX_AREA, UNTOUCHED);
	if (stray >= 0)
		fail_msg("rfbm %lx, XSTATE_BV %lx: byte %ld was written", rfbm, stored, stray);
}

static void save_both(u64 rfbm)
{
	u64 in_use;

	memset(real, UNTOUCHED, MAX_AREA);
	memset(model, UNTOUCHED, MAX_AREA);
	load(image);
	xsavec64(real, rfbm);
	load(image);
	assert_int_equal(soft_xsavec(&cpu, model, rfbm), 0);
	load(image);
	in_use = soft_xinuse(&cpu);
	load(image);
	in_use &= ~xgetbv(1);
	load(start);
	assert_int_equal(in_use, 0);
	compare_saved(rfbm);
}

/* Fails if XSAVEC and the model store different values, or the model writes a byte that is not its. */
static void save_all_subsets(void **state)
{
	if (no_xsavec())
		skip();
	for (u32 round = 0; round < rounds; round++)
		for (u64 used = features;; used = (used - 1) & features) {
			random_image(used);
			for (u64 rfbm = features;; rfbm = (rfbm - 1) & features) {
				save_both(rfbm | (round & 1 ? ~features & ~XFM_BOUND & ~XFM_TILES : 0));
				if (!rfbm)
					break;
			}
			if (!used)
				break;
		}
}

/* Fails if MXCSR alone does not put SSE in use, or XMM registers with zeros do. */
static void mxcsr_belongs_to_sse(void **state)
{
	random_image(0);
	load(image);
	assert_int_equal(soft_xsavec(&cpu, model, features), 0);
	load(start);
	assert_int_equal(model->xstate_bv, 0);
	image->mxcsr = MXCSR_INIT | 0x8000;
	image->xstate_bv = XFM(XF_SSE);
	load(image);
	assert_int_equal(soft_xsavec(&cpu, model, features), 0);
	load(start);
	assert_int_equal(model->xstate_bv, XFM(XF_SSE));
	assert_int_equal(model->mxcsr, MXCSR_INIT | 0x8000);
}

/* --- Restoring --- */

/* image becomes a compacted one: contents of the components in stored. */
static void random_compacted(u64 xcomp, u64 stored)
{
	memset(image, 0, MAX_AREA);
	image->xcomp_bv = XCOMP_COMPACTED | xcomp;
	image->xstate_bv = stored;
	image->mxcsr = (u32)rng_next(&rng); /* not looked at unless SSE is stored */
	random_legacy(image, stored, cpu.mxcsr_mask);
	for (u32 i = XF_AVX; i < XF_COUNT; i++)
		if (stored & BIT(i))
			random_component((u8 *)image + xstate_compact_offset(&layout, image->xcomp_bv, i), i,
					 layout.component[i].size);
}

static struct xsave_area *background;

static void restore_both(u64 rfbm)
{
	int failed;

	memset(real, 0, MAX_AREA);
	memset(model, 0, MAX_AREA);
	load(background);
	failed = xrstor64(image, rfbm);
	xsave64(real, features);
	load(background);
	failed |= soft_xrstor_compacted(&cpu, image, rfbm);
	xsave64(model, features);
	load(start);
	assert_int_equal(failed, 0);
	real->xstate_bv = model->xstate_bv = 0; /* XSAVE writes init values too */
	if (memcmp(real, model, MAX_AREA))
		fail_msg("rfbm %lx, XCOMP_BV %lx, XSTATE_BV %lx", rfbm, image->xcomp_bv, image->xstate_bv);
}

/* Fails if any register differs after XRSTOR of a compacted image and after the model's. */
static void restore_all_subsets(void **state)
{
	if (no_xsavec())
		skip();
	for (u32 round = 0; round < rounds; round++) {
		random_image(features);
		background = image, image = new_area();
		for (u64 stored = features;; stored = (stored - 1) & features) {
			random_compacted(stored | (rng_next(&rng) & features), stored);
			for (u64 rfbm = features;; rfbm = (rfbm - 1) & features) {
				restore_both(rfbm);
				if (!rfbm)
					break;
			}
			if (!stored)
				break;
		}
		free(background);
	}
}

/* The area may end at the last byte of its last component: no byte behind it may be read or written. */
static void exact_size(void **state)
{
	u8 *pages = mmap(NULL, 2 * MAX_AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 size = xstate_compact_size(&layout, features);
	struct xsave_area *area = (struct xsave_area *)(pages + MAX_AREA - size);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + MAX_AREA, MAX_AREA, PROT_NONE), 0);
	if (size % XSAVE_ALIGN)
		area = (struct xsave_area *)ALIGN_DOWN((u64)area, XSAVE_ALIGN);
	random_image(features);
	load(image);
	assert_int_equal(soft_xsavec(&cpu, area, ~0ul), 0);
	assert_int_equal(soft_xrstor_compacted(&cpu, area, ~0ul), 0);
	load(start);
	munmap(pages, 2 * MAX_AREA);
}

/* --- Faults --- */

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
	siglongjmp(after_fault, 1);
}

/* Whether the instruction itself raises #GP; Linux makes it SIGSEGV (SIGBUS for #AC). */
static bool really_faults(const void *area, u64 rfbm)
{
	bool faults = sigsetjmp(after_fault, 1);

	if (!faults)
		xrstor64(area, rfbm);
	load(start);
	return faults;
}

static void compare_faults(const void *area, u64 rfbm, const char *what, u32 bit)
{
	bool faults = really_faults(area, rfbm), model_faults;
	int status;

	load(background);
	xsave64(real, features);
	status = soft_xrstor_compacted(&cpu, area, rfbm);
	xsave64(model, features);
	load(start);
	model_faults = status == SOFT_GP;
	if (faults != model_faults)
		fail_msg("%s %u, rfbm %lx: the CPU %s, the model %s", what, bit, rfbm, faults ? "faults" : "does not fault",
			 model_faults ? "faults" : "does not fault");
	model->xstate_bv = real->xstate_bv;
	if (model_faults && memcmp(real, model, MAX_AREA))
		fail_msg("%s %u: a refused restore changed a register", what, bit);
}

static void flip_each_bit(void *field, u32 bytes, u64 rfbm, const char *what)
{
	for (u32 bit = 0; bit < bytes * 8; bit++) {
		((u8 *)field)[bit / 8] ^= (u8)(1 << bit % 8);
		compare_faults(image, rfbm, what, bit);
		((u8 *)field)[bit / 8] ^= (u8)(1 << bit % 8);
	}
}

static void faults_with(u64 xcomp, u64 stored, u64 rfbm)
{
	random_compacted(xcomp, stored);
	compare_faults(image, rfbm, "no change", 0);
	flip_each_bit(&image->xstate_bv, 8, rfbm, "XSTATE_BV");
	flip_each_bit(&image->xcomp_bv, 8, rfbm, "XCOMP_BV");
	flip_each_bit(image->header_reserved, sizeof(image->header_reserved), rfbm, "reserved bit");
	flip_each_bit(&image->mxcsr, 4, rfbm, "MXCSR");
	for (u32 offset = 1; offset < XSAVE_ALIGN; offset++)
		compare_faults((u8 *)image + offset, rfbm, "misaligned by", offset);
}

/*
 * One bit wrong at a time. In the image where SSE is not stored MXCSR has reserved bits set, which must not
 * matter. XCOMP_BV never becomes 0, which would be a valid image of the standard form.
 */
static void refuses_what_the_cpu_refuses(void **state)
{
	u64 some = features & ~XFM(XF_AVX);

	if (no_xsavec())
		skip();
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	memset(real, 0, MAX_AREA);
	memset(model, 0, MAX_AREA);
	random_image(features);
	background = image, image = new_area();
	faults_with(features, features, features);
	faults_with(features, features, 0);
	faults_with(features, features, XFM(XF_AVX));
	faults_with(features, features & ~XFM(XF_SSE), features);
	faults_with(some, some & ~XFM(XF_X87), features);
	faults_with(some, 0, 0);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	free(background);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(save_all_subsets),
		cmocka_unit_test(mxcsr_belongs_to_sse),
		cmocka_unit_test(restore_all_subsets),
		cmocka_unit_test(exact_size),
		cmocka_unit_test(refuses_what_the_cpu_refuses),
	};

	return cmocka_run_group_tests_name("soft", tests, set_up, NULL);
}
