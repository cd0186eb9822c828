/*
 * The proof in ring 0: the model against the real XSAVES and XRSTORS, supervisor components included, over
 * all subsets of the components and all RFBMs with random contents, and over every way in which an image can
 * be refused. Runs instead of the kernel, with the kernel's own object files of the model. On a CPU without
 * working XSAVES it says so and only sees that the model agrees with itself.
 */
#include "fpu/insn.h"
#include "fpu/probe.h"
#include "fpu/soft.h"
#include "kernel/insn.h"
#include "kernel/string.h"
#include "tests/ring0/machine.h"
#include "tests/ring0/supervisor.h"
#include "tests/host/xsave_data.h" /* wants random_word */

#define AREA_SIZE 4096 /* no component set here needs more */
#define UNTOUCHED 0xc3
#define NEVER_HERE (XFM_TILES | XFM_BOUND) /* Bochs can't save tiles; BNDCSR refuses random values */

static union {
	struct xsave_area area;
	u8 bytes[AREA_SIZE];
} image_area, background_area, real_area, model_area, before_area, scratch_area;

#define image (&image_area.area)
#define background (&background_area.area)
#define real (&real_area.area)
#define model (&model_area.area)
#define before (&before_area.area)

static struct xstate_layout layout;
static struct soft_cpu cpu;
static u64 features, random_state = 20150706;
static u32 size;
static bool cpu_takes_bit_63;

u64 random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* A compacted image with random contents of the components in stored. */
static void random_compacted(struct xsave_area *to, u64 xcomp, u64 stored, bool with_uinv)
{
	memset(to, 0, size);
	to->xcomp_bv = XCOMP_COMPACTED | xcomp;
	to->xstate_bv = stored;
	to->mxcsr = (u32)random_word(); /* not looked at unless SSE is stored */
	random_legacy(to, stored, cpu.mxcsr_mask);
	for (u32 i = XF_AVX; i < XF_COUNT; i++) {
		if (!(stored & BIT(i)))
			continue;
		if (layout.component[i].supervisor)
			random_supervisor((u64 *)value_place(&layout, to, i), i, with_uinv);
		else
			random_component(value_place(&layout, to, i), i, layout.component[i].size);
	}
}

/* All registers, by the real instruction. */
static void load(const struct xsave_area *from)
{
	clear_uinv();
	if (xrstors64(from, features))
		fail("XRSTORS refused a valid image: XCOMP_BV %lx, XSTATE_BV %lx", from->xcomp_bv, from->xstate_bv);
}

static void dump(struct xsave_area *to)
{
	memset(to, 0, size);
	xsaves64(to, features);
}

static bool same_registers(const struct xsave_area *a, const struct xsave_area *b, u32 *which)
{
	for (*which = 0; *which < XF_COUNT; ++*which)
		if (features & BIT(*which) && !same_value(&layout, a, b, *which))
			return false;
	return true;
}

/* --- Saving --- */

static void compare_saved(u64 rfbm)
{
	u64 stored = model->xstate_bv;
	long stray;

	if (model->xcomp_bv != real->xcomp_bv)
		fail("rfbm %lx: XCOMP_BV %lx, the model's %lx", rfbm, real->xcomp_bv, model->xcomp_bv);
	if (stored & ~real->xstate_bv)
		fail("rfbm %lx: XSTATE_BV %lx, the model's %lx", rfbm, real->xstate_bv, stored);
	for (u32 i = 0; i < XF_COUNT; i++)
		if (rfbm & features & BIT(i) && !same_value(&layout, real, model, i))
			fail("rfbm %lx, XSTATE_BV %lx: %s differs", rfbm, stored, xstate_name(i));
	stray = first_stray_byte(&layout, model, size, UNTOUCHED);
	if (stray >= 0)
		fail("rfbm %lx, XSTATE_BV %lx: the model wrote byte %ld", rfbm, stored, stray);
}

static void save_both(u64 rfbm)
{
	u64 after_real[UINTR_QWORDS] = { 0 }, after_model[UINTR_QWORDS] = { 0 };
	bool uintr = features & XFM(XF_UINTR);

	memset(real, UNTOUCHED, size);
	memset(model, UNTOUCHED, size);
	load(image);
	xsaves64(real, rfbm);
	if (uintr)
		soft_uintr.save(&cpu, after_real);
	load(image);
	if (soft_xsaves(&cpu, model, rfbm))
		fail("the model's XSAVES fails");
	if (uintr)
		soft_uintr.save(&cpu, after_model);
	if (memcmp(after_real, after_model, sizeof(after_real)))
		fail("rfbm %lx: saving has another effect on UINTR", rfbm);
	compare_saved(rfbm);
}

static void save_all_subsets(void)
{
	for (u64 used = features;; used = (used - 1) & features) {
		random_compacted(image, features, used, true);
		for (u64 rfbm = features;; rfbm = (rfbm - 1) & features) {
			save_both(rfbm | (random_word() & ~features));
			if (!rfbm)
				break;
		}
		if (!used)
			break;
	}
	end_test("xsaves");
}

/* Nothing but XSTATE_BV and XCOMP_BV was written: not the components, not even the legacy region. */
static void expect_only_header(const struct xsave_area *area, const char *whose)
{
	const u8 *bytes = (const u8 *)area;

	if (area->xstate_bv || area->xcomp_bv != (XCOMP_COMPACTED | features))
		fail("%s: XSTATE_BV %lx, XCOMP_BV %lx", whose, area->xstate_bv, area->xcomp_bv);
	for (u32 i = 0; i < size; i++)
		if (bytes[i] != UNTOUCHED && (i < offsetof(struct xsave_area, xstate_bv) ||
					      i >= offsetof(struct xsave_area, header_reserved)))
			fail("%s: byte %u was written", whose, i);
}

/* The init optimisation to its end: a save of initial state costs a header. */
static void save_initial_state(bool native)
{
	random_compacted(image, features, 0, false);
	if (native) {
		memset(real, UNTOUCHED, size);
		load(image);
		xsaves64(real, features);
		expect_only_header(real, "the CPU's XSAVES");
	}
	memset(model, UNTOUCHED, size);
	if (soft_xrstors(&cpu, image, features) || soft_xsaves(&cpu, model, features))
		fail("the model faults");
	expect_only_header(model, "the model's XSAVES");
	end_test("initial state: the header only");
}

/* --- Restoring --- */

static void restore_both(u64 rfbm)
{
	u32 which;

	load(background);
	if (xrstors64(image, rfbm))
		fail("rfbm %lx, XCOMP_BV %lx, XSTATE_BV %lx: the CPU faults", rfbm, image->xcomp_bv, image->xstate_bv);
	dump(real);
	load(background);
	if (soft_xrstors(&cpu, image, rfbm))
		fail("rfbm %lx, XCOMP_BV %lx, XSTATE_BV %lx: the model faults", rfbm, image->xcomp_bv, image->xstate_bv);
	dump(model);
	if (!same_registers(real, model, &which))
		fail("rfbm %lx, XCOMP_BV %lx, XSTATE_BV %lx: %s differs", rfbm, image->xcomp_bv, image->xstate_bv,
		     xstate_name(which));
}

static void restore_all_subsets(void)
{
	random_compacted(background, features, features, false);
	for (u64 stored = features;; stored = (stored - 1) & features) {
		random_compacted(image, stored | (random_word() & features), stored, true);
		for (u64 rfbm = features;; rfbm = (rfbm - 1) & features) {
			restore_both(rfbm);
			if (!rfbm)
				break;
		}
		if (!stored)
			break;
	}
	end_test("xrstors");
}

/* --- Faults --- */

typedef int real_restore(const void *area, u64 rfbm);
typedef int soft_restore(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm);

struct pair {
	const char *name;
	real_restore *real_insn;
	soft_restore *soft_insn;
};

static int real_xrstors(const void *area, u64 rfbm)
{
	return xrstors64(area, rfbm);
}

static int real_xrstor(const void *area, u64 rfbm)
{
	return xrstor64(area, rfbm);
}

static const struct pair xrstors_pair = { "xrstors", real_xrstors, soft_xrstors };
static const struct pair xrstor_pair = { "xrstor", real_xrstor, soft_xrstor_compacted };

/* Both fault or neither; if the model does, nothing has changed. The CPU may have loaded a part. */
static void compare_faults(const struct pair *pair, const void *area, u64 rfbm, const char *what, u32 bit)
{
	bool real_faults, soft_faults;
	u32 which;

	load(background);
	real_faults = pair->real_insn(area, rfbm);
	load(background);
	soft_faults = pair->soft_insn(&cpu, area, rfbm);
	dump(model);
	if (real_faults != soft_faults)
		fail("%s, %s %u, rfbm %lx: the CPU %s, the model %s", pair->name, what, bit, rfbm,
		     real_faults ? "faults" : "does not fault", soft_faults ? "faults" : "does not fault");
	if (soft_faults && !same_registers(before, model, &which))
		fail("%s, %s %u, rfbm %lx: a refused restore changed %s", pair->name, what, bit, rfbm, xstate_name(which));
}

static void flip_each_bit(const struct pair *pair, void *field, u32 bytes, u64 rfbm, const char *what)
{
	for (u32 bit = 0; bit < bytes * 8; bit++) {
		((u8 *)field)[bit / 8] ^= (u8)(1 << bit % 8);
		compare_faults(pair, image, rfbm, what, bit);
		((u8 *)field)[bit / 8] ^= (u8)(1 << bit % 8);
	}
}

/*
 * Bit 63 of XSTATE_BV is no component, so it is never a subset of XCOMP_BV's (manual, volume 1, 13.8.2): #GP. The
 * model must refuse it; whether this CPU does is said and not compared, for Bochs 3.1 accepts it.
 */
static void refuse_bit_63(const struct pair *pair, u64 rfbm)
{
	u32 which;

	image->xstate_bv ^= BIT(63);
	load(background);
	cpu_takes_bit_63 |= !pair->real_insn(image, rfbm);
	load(background);
	if (pair->soft_insn(&cpu, image, rfbm) != SOFT_GP)
		fail("%s, XSTATE_BV bit 63, rfbm %lx: the model does not fault", pair->name, rfbm);
	dump(model);
	if (!same_registers(before, model, &which))
		fail("%s, XSTATE_BV bit 63, rfbm %lx: a refused restore changed %s", pair->name, rfbm, xstate_name(which));
	image->xstate_bv ^= BIT(63);
}

static void faults_with(const struct pair *pair, u64 xcomp, u64 stored, u64 rfbm)
{
	random_compacted(image, xcomp, stored, true);
	compare_faults(pair, image, rfbm, "no change", 0);
	flip_each_bit(pair, &image->xcomp_bv, 8, rfbm, "XCOMP_BV");
	flip_each_bit(pair, image->header_reserved, sizeof(image->header_reserved), rfbm, "reserved bit");
	flip_each_bit(pair, &image->mxcsr, 4, rfbm, "MXCSR");
	for (u32 bit = 0; bit < 63; bit++) {
		image->xstate_bv ^= 1ul << bit;
		compare_faults(pair, image, rfbm, "XSTATE_BV", bit);
		image->xstate_bv ^= 1ul << bit;
	}
	refuse_bit_63(pair, rfbm);
	for (u32 offset = 1; offset < XSAVE_ALIGN; offset++)
		compare_faults(pair, (u8 *)image + offset, rfbm, "misaligned by", offset);
}

static void start_faults(void)
{
	random_compacted(background, features, features, false);
	load(background);
	dump(before);
}

static void header_faults(const struct pair *pair, u64 enabled, const char *name)
{
	u64 some = enabled & ~(XFM(XF_AVX) | XFM(XF_CET_U));

	start_faults();
	faults_with(pair, enabled, enabled, enabled);
	faults_with(pair, enabled, enabled, 0);
	faults_with(pair, enabled, enabled, XFM(XF_AVX));
	faults_with(pair, enabled, enabled & ~XFM(XF_SSE), enabled);
	faults_with(pair, some, some & ~XFM(XF_X87), enabled);
	faults_with(pair, some, 0, 0);
	end_test(name);
}

/* One bit of a supervisor component wrong at a time, loaded and not loaded. */
static void supervisor_faults(void)
{
	start_faults();
	for (u32 i = XF_AVX; i < XF_COUNT; i++) {
		if (!(features & BIT(i)) || !layout.component[i].supervisor)
			continue;
		for (u32 round = 0; round < 4; round++) {
			random_compacted(image, features, features, true);
			flip_each_bit(&xrstors_pair, value_place(&layout, image, i), layout.component[i].size, features,
				      xstate_name(i));
		}
		flip_each_bit(&xrstors_pair, value_place(&layout, image, i), layout.component[i].size,
			      features & ~BIT(i), xstate_name(i));
	}
	end_test("supervisor values");
}

/* UINTR must not be loaded over a UINV that nobody has saved. */
static void uinv_faults(void)
{
	u64 stored[UINTR_QWORDS];
	bool real_faults;

	if (!(features & XFM(XF_UINTR))) {
		skip_test("UINV", "this CPU has no user interrupts");
		return;
	}
	start_faults();
	do
		random_compacted(image, features, features, true);
	while (!(value_place(&layout, image, XF_UINTR)[20]));
	load(image);
	real_faults = xrstors64(image, features);
	load(image);
	if (!real_faults || soft_xrstors(&cpu, image, features) != SOFT_GP)
		fail("UINV is not 0: the CPU %s", real_faults ? "faults, the model does not" : "does not fault");
	load(image);
	if (soft_xrstors(&cpu, image, features & ~XFM(XF_UINTR)))
		fail("UINV is not 0, UINTR is not loaded: the model faults");
	soft_uintr.save(&cpu, stored);
	end_test("UINV");
}

/* --- Without XSS, and the user instructions --- */

static void user_instructions(void)
{
	u64 user = features & layout.user;

	start_faults();
	for (u64 rfbm = features;; rfbm = (rfbm - 1) & features) {
		memset(real, UNTOUCHED, size);
		memset(model, UNTOUCHED, size);
		random_compacted(image, features, random_word() & features, true);
		load(image);
		xsavec64(real, rfbm);
		load(image);
		soft_xsavec(&cpu, model, rfbm);
		compare_saved(rfbm & user);
		if (!rfbm)
			break;
	}
	end_test("xsavec");
	header_faults(&xrstor_pair, user, "refused by xrstor");
}

static void without_xss(void)
{
	u64 xss = cpu.xss;

	write_fpu_msr(MSR_IA32_XSS, 0);
	cpu.xss = 0;
	memset(real, UNTOUCHED, size);
	memset(model, UNTOUCHED, size);
	xsaves64(real, ~0ul);
	soft_xsaves(&cpu, model, ~0ul);
	compare_saved(features & layout.user);
	random_compacted(image, features, features & layout.user, false);
	if (!xrstors64(image, 0) || soft_xrstors(&cpu, image, 0) != SOFT_GP)
		fail("a supervisor component in XCOMP_BV is accepted although IA32_XSS is 0");
	write_fpu_msr(MSR_IA32_XSS, xss);
	cpu.xss = xss;
	end_test("IA32_XSS 0");
}

/* --- The model alone --- */

/* Some emulators keep neither the last x87 instruction nor its pointers; MXCSR's mask is not loaded. */
static void forget_unkept(struct xsave_area *area)
{
	area->fop = 0;
	area->fip = area->fdp = 0;
	area->mxcsr_mask = 0;
}

static void model_alone(void)
{
	u64 user = features & layout.user;
	u32 which;

	for (u64 stored = user;; stored = (stored - 1) & user) {
		random_compacted(image, user, stored, false);
		forget_unkept(image);
		memset(model, 0, size);
		soft_xrstors(&cpu, image, user);
		soft_xsaves(&cpu, model, user);
		forget_unkept(model);
		if (model->xcomp_bv != image->xcomp_bv || model->xstate_bv & ~stored || !same_registers(image, model, &which))
			fail("XSTATE_BV %lx: something is lost on the way through the model", stored);
		if (!stored)
			break;
	}
	end_test("the model's own round trip");
}

/* --- */

static u64 choose_features(bool native)
{
	u64 user = xstate_constrain_xcr0(layout.user & ~NEVER_HERE);

	if (!(cpuid(7, 0).ebx & BIT(16)))
		user = xstate_constrain_xcr0(user & ~XFM_AVX512);
	xsetbv(user);
	return user | (native ? layout.supervisor & PROOF_SUPERVISOR : 0);
}

void kmain(u32 magic, u32 info);
void kmain(u32 magic, u32 info)
{
	bool native;

	machine_init();
	say("KTAP version 1");
	xstate_probe(&layout, cpuid);
	features = choose_features(true);
	native = xsaves_works(&layout, &image_area.area);
	if (!native)
		features = choose_features(false);
	size = xstate_compact_size(&layout, features);
	say("# components %lx, CPUID promises XSAVES: %s, it works: %s", features, layout.xsaves ? "yes" : "no",
	    native ? "yes" : "no");
	soft_init(&cpu, &layout, features & layout.user, &scratch_area);
	cpu.xss = features & layout.supervisor;
	cpu.component[XF_CET_S] = &soft_cet_s;
	cpu.component[XF_UINTR] = &soft_uintr;
	model_alone();
	if (native)
		write_fpu_msr(MSR_IA32_XSS, cpu.xss);
	save_initial_state(native);
	if (native) {
		save_all_subsets();
		restore_all_subsets();
		header_faults(&xrstors_pair, features, "refused by xrstors");
		supervisor_faults();
		uinv_faults();
		user_instructions();
		without_xss();
		say("# XSTATE_BV bit 63: this CPU %s", cpu_takes_bit_63 ? "accepts it" : "refuses it");
	}
	machine_end();
}
