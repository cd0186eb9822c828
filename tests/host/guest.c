/*
 * guest.c - fpu/guest.c on the software register file: owners and guests that come and go on two CPUs in random order,
 * with kernel sections, sleeps, resets and XFD in between, each with values of its own in all that it may have. User
 * code, whoever's it is, must find its own.
 */
#include "door_machine.h"

#include "fpu/guest.h"
#include "fpu/intonly.c"
#include "fpu/life.c"
#include "fpu/policy_eager.c"
#include "fpu/switch.h"
#include "fpu/guest.c"

#define ALL 0x602e7ul
#define DYNAMIC XFM(XF_TILEDATA)
#define PAIR 2
#define OWNERS (PAIR + 1)
#define ROUNDS 20000

/* A context, and what it should have: a byte in all of a component, 0: initial. The last owner is integer-only. */
struct party {
	struct fpu_task fpu;
	u8 avx, tiles;
	u32 pkru;
	struct party *inside; /* an owner's guest */
	bool entered;	      /* a guest */
};

static struct party owner[OWNERS], guest[PAIR], *on_cpu;
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

/* --- Set-up --- */

static void start_parties(const struct fpu_policy *policy)
{
	start(ALL);
	fpu_config.dynamic = DYNAMIC;
	fpu_config.full_size = fpu_config.size;
	fpu_config.size = xstate_compact_size(&fpu_config.layout, fpu_config.mask & ~DYNAMIC);
	fpu_policy = *policy;
	fpu_config.defers = policy->defers;
	regfile.knobs.init = INIT_BY_CONTENT;
	for (u32 i = 0; i < REGFILE_CPUS; i++) {
		regfile.current = i;
		fpu_cpu_up(&cpus[i]);
	}
	regfile.current = 0;
	areas = 0;
	running = &other; /* a kernel thread */
	other = (struct fpu_task){ .active = NULL };
	on_cpu = NULL;
	for (u32 i = 0; i < OWNERS; i++) {
		owner[i] = (struct party){ .pkru = PKRU_DEFAULT };
		assert_true(fpu_create(&owner[i].fpu, i == PAIR));
	}
	for (u32 i = 0; i < PAIR; i++) {
		guest[i] = (struct party){ .pkru = PKRU_DEFAULT };
		assert_true(fpu_guest_create(&guest[i].fpu));
	}
}

static int finish(void **state)
{
	for (u32 i = 0; i < OWNERS; i++)
		fpu_free(&owner[i].fpu);
	for (u32 i = 0; i < PAIR; i++)
		fpu_guest_free(&guest[i].fpu);
	fpu_policy = fpu_deferred;
	assert_int_equal(areas, 0);
	assert_int_equal(regfile.faults, 0);
	assert_int_equal(locks, 0);
	return 0;
}

static struct party *active(void)
{
	return on_cpu->inside ? on_cpu->inside : on_cpu;
}

/* --- What happens --- */

static void write_byte(u32 feature, u8 byte)
{
	u8 value[REGFILE_MAX_COMPONENT];

	memset(value, byte, sizeof(value));
	regfile_write(feature, value);
}

static u8 byte_in(u32 feature)
{
	u8 value[REGFILE_MAX_COMPONENT] = { 0 };

	regfile_read(feature, value);
	return value[regfile_size(feature) - 1];
}

static void check_registers(const struct party *p)
{
	u64 xfd = p->fpu.user.xfd;

	if (byte_in(XF_AVX) != p->avx || (!xfd && byte_in(XF_TILEDATA) != p->tiles) || rdpkru() != p->pkru ||
	    regfile.cpu[regfile.current].xfd != xfd)
		fail_msg("I-GUEST: AVX %x, tiles %x, PKRU %x, XFD %lx in the registers, not %x, %x, %x, %lx",
			 byte_in(XF_AVX), byte_in(XF_TILEDATA), rdpkru(), regfile.cpu[regfile.current].xfd, p->avx,
			 p->tiles, p->pkru, xfd);
}

/* It has PKRU alone, and what it must not see is not there. */
static void integer_only_code(void)
{
	struct fpu_cpu *cpu = &cpus[regfile.current];

	if (on_cpu->fpu.own_flags & TASK_NEED_FPU_LOAD)
		fpu_intonly_exit(cpu, &on_cpu->fpu);
	assert_true(cpu->ts);
	assert_true(regfile_is_initial(XF_AVX) && regfile_is_initial(XF_TILEDATA));
	assert_int_equal(rdpkru(), on_cpu->pkru);
	wrpkru(on_cpu->pkru = (u32)random_word());
}

/* User mode: it finds its own, and changes it. */
static void user_code(void)
{
	struct party *p = active();

	if (!p->fpu.user.fpstate) {
		integer_only_code();
		return;
	}
	fpu_clear_ts(&cpus[regfile.current]);
	assert_true(fpregs_move_to_cpu(&cpus[regfile.current], &on_cpu->fpu, FPU_EV_EXIT_TO_USER));
	check_registers(p);
	write_byte(XF_AVX, p->avx = (u8)random_word());
	if (!p->fpu.user.xfd)
		write_byte(XF_TILEDATA, p->tiles = (u8)random_word());
	wrpkru(p->pkru = (u32)random_word());
}

static void switch_to(struct party *next, u32 cpu)
{
	if (on_cpu)
		fpu_switch_out(&on_cpu->fpu);
	on_cpu = next;
	running = next ? &next->fpu : &other;
	regfile.current = cpu;
	if (next)
		fpu_switch_in(&next->fpu);
}

/* The kernel's own values, in an interrupt perhaps. */
static void section(void)
{
	struct fpu_cpu *cpu = &cpus[regfile.current];

	if (on_cpu && fpu_has_registers(running))
		fpregs_move_to_memory(cpu, running, FPU_EV_KERNEL_BEGIN);
	else
		fpu_intonly_disturb(running);
	fpu_clear_ts(cpu);
	fpregs_claim(cpu, fpu_kernel_owner);
	write_byte(XF_AVX, 0xee);
	if (on_cpu && fpu_has_registers(running) && fpu_policy.kernel_end)
		fpu_policy.kernel_end(cpu, running);
}

static void enter_or_leave(struct party *g)
{
	if (on_cpu->inside) {
		on_cpu->inside->entered = false;
		on_cpu->inside = NULL;
		fpu_guest_leave();
	} else if (!g->entered) {
		fpu_guest_enter(&g->fpu);
		on_cpu->inside = g;
		g->entered = true;
	}
}

/* By its owner, who has entered it, or while nobody has. */
static void change(struct party *g)
{
	if (g->entered && !(on_cpu && on_cpu->inside == g))
		return;
	if (random_word() % 2) {
		u64 xfd = random_word() % 2 ? DYNAMIC : 0;

		fpu_guest_set_xfd(&g->fpu, xfd);
		if (xfd)
			g->tiles = 0;
	} else {
		u64 components = random_word();

		fpu_guest_init(&g->fpu, components);
		if (components & XFM(XF_AVX))
			g->avx = 0;
		if (components & DYNAMIC)
			g->tiles = 0;
		if (components & XFM(XF_PKRU))
			g->pkru = 0;
	}
}

/* Its image, while nobody has entered it, read and written. */
static void show(struct party *g)
{
	u8 *avx = shown.bytes + regfile.layout.component[XF_AVX].offset;

	if (g->entered)
		return;
	fpu_standard_read(&g->fpu, &shown, FPU_EV_REGSET_READ);
	assert_int_equal(avx[255], g->avx);
	memset(avx, g->avx = (u8)random_word(), 256);
	shown.area.xstate_bv |= XFM(XF_AVX);
	memset(shown.bytes + regfile.layout.component[XF_TILEDATA].offset, 7, REGFILE_MAX_COMPONENT);
	shown.area.xstate_bv |= DYNAMIC;
	if (!g->fpu.user.xfd)
		g->tiles = 7;
	fpu_standard_write(&g->fpu, &shown, ALL, FPU_EV_REGSET_WRITE);
}

static void step(void)
{
	switch (random_word() % 9) {
	case 8:
		show(&guest[random_word() % PAIR]);
		break;
	case 0:
		switch_to(on_cpu ? NULL : &owner[random_word() % OWNERS], random_word() % REGFILE_CPUS);
		break;
	case 1:
		section();
		break;
	case 2:
		change(&guest[random_word() % PAIR]);
		break;
	case 3:
		if (!on_cpu)
			fpu_idle(&cpus[regfile.current]);
		break;
	case 4:
	case 5:
		if (on_cpu)
			enter_or_leave(&guest[random_word() % PAIR]);
		break;
	default:
		if (on_cpu)
			user_code();
	}
}

/* Fails if values cross the border, get lost, or are saved from registers that are another's (museum entry 37). */
static void walk(const struct fpu_policy *policy)
{
	start_parties(policy);
	for (u32 i = 0; i < ROUNDS; i++)
		step();
	if (on_cpu && on_cpu->inside)
		enter_or_leave(NULL);
	for (u32 i = 0; i < OWNERS; i++)
		if (owner[i].inside) {
			switch_to(&owner[i], 0);
			enter_or_leave(NULL);
		}
	switch_to(NULL, 0);
}

static void deferred_walk(void **state)
{
	walk(&fpu_deferred);
}

static void eager_walk(void **state)
{
	walk(&fpu_eager);
}

/* --- What it costs --- */

/* Fails if a return to the kernel between entry and exit costs a load or a save. */
static void two_loads_a_run(void **state)
{
	struct fpu_counters *c = &cpus[0].counters, before;

	start_parties(&fpu_deferred);
	switch_to(&owner[0], 0);
	user_code();
	before = *c;
	enter_or_leave(&guest[0]);
	for (u32 i = 0; i < 50; i++)
		user_code();
	enter_or_leave(NULL);
	user_code();
	assert_int_equal(c->loads - before.loads, 2);
	assert_int_equal(c->saves - before.saves, 2);
	/* A guest that never came to run, and an owner that was not away for long. */
	before = *c;
	enter_or_leave(&guest[0]);
	enter_or_leave(NULL);
	user_code();
	assert_int_equal(c->loads, before.loads);
	assert_int_equal(c->saves - before.saves, 1);
	assert_int_equal(c->loads_avoided - before.loads_avoided, 1);
	switch_to(NULL, 0);
}

/* --- Ends --- */

/* Fails if a new guest in a dead one's place inherits what the registers hold (museum entry 6). */
static void a_guest_is_reborn(void **state)
{
	start_parties(&fpu_deferred);
	switch_to(&owner[0], 0);
	enter_or_leave(&guest[0]);
	user_code();
	enter_or_leave(NULL);
	assert_ptr_equal(cpus[0].owner, &guest[0].fpu.user);
	fpu_guest_free(&guest[0].fpu);
	guest[0] = (struct party){ .pkru = PKRU_DEFAULT };
	assert_true(fpu_guest_create(&guest[0].fpu));
	enter_or_leave(&guest[0]);
	user_code();
	enter_or_leave(NULL);
	switch_to(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(deferred_walk, finish),
		cmocka_unit_test_teardown(eager_walk, finish),
		cmocka_unit_test_teardown(two_loads_a_run, finish),
		cmocka_unit_test_teardown(a_guest_is_reborn, finish),
	};

	return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
