/*
 * soft_supervisor.c - supervisor components in the model, PASID and CET_U: no user program can execute XSAVES, so
 * they are held against the manual and not against this machine.
 */
#include "soft_machine.h"

static struct xstate_layout extended;
static struct soft_cpu machine;
static struct xsave_area *model;

static int set_up(void **state)
{
	if (find_components())
		model = new_area();
	return 0;
}

static void start_machine(void)
{
	static struct xsave_area *scratch;

	extended = layout;
	soft_extend_layout(&extended);
	if (!scratch)
		scratch = new_area();
	soft_init(&machine, &extended, features, scratch);
	memset(model, 0, MAX_AREA);
}

/* Fails if IA32_XSS does not decide, or PASID is not at its place behind the user components. */
static void pasid_is_saved_and_restored(void **state)
{
	u64 *stored;

	start_machine();
	machine.pasid = 0x80001234;
	assert_int_equal(soft_xsaves(&machine, model, ~0ul), 0);
	assert_int_equal(model->xcomp_bv, XCOMP_COMPACTED | features);
	machine.xss = XFM(XF_PASID);
	assert_int_equal(soft_xsaves(&machine, model, ~0ul), 0);
	assert_int_equal(model->xcomp_bv, XCOMP_COMPACTED | features | XFM(XF_PASID));
	assert_int_equal(model->xstate_bv & XFM(XF_PASID), XFM(XF_PASID));
	stored = (u64 *)((u8 *)model + xstate_compact_offset(&extended, model->xcomp_bv, XF_PASID));
	assert_int_equal(*stored, 0x80001234);
	*stored = 0x80000077;
	assert_int_equal(soft_xrstors(&machine, model, XFM(XF_PASID)), 0);
	assert_int_equal(machine.pasid, 0x80000077);
	model->xstate_bv &= ~XFM(XF_PASID);
	assert_int_equal(soft_xrstors(&machine, model, 0), 0);
	assert_int_equal(machine.pasid, 0x80000077);
	assert_int_equal(soft_xrstors(&machine, model, XFM(XF_PASID)), 0);
	assert_int_equal(machine.pasid, 0);
	assert_int_equal(soft_xsaves(&machine, model, ~0ul), 0);
	assert_int_equal(model->xstate_bv & XFM(XF_PASID), 0);
}

/* Fails if a user instruction accepts a supervisor component, or XRSTORS one that IA32_XSS lacks. */
static void supervisor_bits_are_refused(void **state)
{
	start_machine();
	machine.xss = XFM(XF_PASID);
	assert_int_equal(soft_xsavec(&machine, model, ~0ul), 0);
	assert_int_equal(model->xcomp_bv, XCOMP_COMPACTED | features);
	model->xstate_bv = 0;
	model->xcomp_bv |= XFM(XF_PASID);
	assert_int_equal(soft_xrstor_compacted(&machine, model, 0), SOFT_GP);
	assert_int_equal(soft_xrstors(&machine, model, 0), 0);
	machine.xss = 0;
	assert_int_equal(soft_xrstors(&machine, model, 0), SOFT_GP);
}

/* Fails if a reserved bit of PASID is loaded, or refused where it is not loaded. */
static void pasid_reserved_bits(void **state)
{
	u64 *stored;

	start_machine();
	machine.xss = XFM(XF_PASID);
	model->xcomp_bv = XCOMP_COMPACTED | XFM(XF_PASID);
	model->xstate_bv = XFM(XF_PASID);
	stored = (u64 *)model->extended;
	for (u32 bit = 0; bit < 64; bit++) {
		bool reserved = bit >= 32 || (bit >= 20 && bit < 31);

		*stored = 1ul << bit;
		assert_int_equal(soft_xrstors(&machine, model, 0), 0);
		machine.pasid = 5;
		assert_int_equal(soft_xrstors(&machine, model, XFM(XF_PASID)), reserved ? SOFT_GP : 0);
		assert_int_equal(machine.pasid, reserved ? 5 : *stored);
	}
}

static void check_cet(u64 u_cet, u64 ssp, bool valid)
{
	const u64 cet[2] = { u_cet, ssp };

	assert_int_equal(soft_cet_u.valid(&machine, cet), valid);
}

/* Fails if the model lets WRMSR see a value that it would refuse. */
static void cet_values(void **state)
{
	check_cet(0, 0, true);
	check_cet(0x3f, 0x7ffffffffffc, true);
	check_cet(0xfffff00000000000 | 0x400, 0xffff800000000000, true);
	check_cet(0x800, 4, true);
	check_cet(0xc00, 0, false);
	for (u32 bit = 6; bit < 10; bit++)
		check_cet(1ul << bit, 0, false);
	check_cet(0x800000000000, 0, false);
	check_cet(0, 0x800000000000, false);
	check_cet(0, 1, false);
	check_cet(0, 2, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pasid_is_saved_and_restored),
		cmocka_unit_test(supervisor_bits_are_refused),
		cmocka_unit_test(pasid_reserved_bits),
		cmocka_unit_test(cet_values),
	};

	return cmocka_run_group_tests_name("soft_supervisor", tests, set_up, NULL);
}
