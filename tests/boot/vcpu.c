/*
 * vcpu - guests with registers of their own, beside an owner with its own. Catches: values that cross the border, in
 * either direction (museum entry 37); a load or save more than a run needs; PKRU of the wrong one; a guest that goes on
 * with what it had on another CPU; an exit that is not told as it was.
 */
#include "registers.h"
#include "vcpu.h"
#include <xstate.h>

enum { STEPS = 200000, WORKERS = 3, TRIES = 200, ASKED = 50 };

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* --- In and out --- */

static void test_registers(void)
{
	struct guest g;
	struct tarry_vcpu_regs in;
	uint64_t *word = (uint64_t *)&in;

	NEED_VCPU();
	guest_make(&g, guest_int80);
	for (size_t i = 0; i < sizeof(in) / 8; i++)
		word[i] = 0x1111111111111111 * (i + 1);
	in.rip = g.regs.rip;
	in.rflags = 0x8d5;
	in.fs_base = 0x123456789000;
	in.gs_base = 0x7654321000;
	in.rax = 99;
	g.regs = in;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	in.rip += 2;
	EXPECT(!memcmp(&in, &g.exit.regs, sizeof(in)));
	guest_aim(&g, guest_bases);
	g.regs.fs_base = 0x1234000;
	g.regs.gs_base = 0xffff800000000000;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.rax, DONE);
	EXPECT_EQ(g.exit.regs.rip, guest_address(guest_bases) + 17);
	if (g.exit.regs.r8 != 0x1234000 || g.exit.regs.r9 != 0xffff800000000000)
		FAIL("bases are %lx and %lx", g.exit.regs.r8, g.exit.regs.r9);
	guest_end_of(&g);
}

/* What the kernel answers, and what a guest finds there that it has not set: no call of Tarry's works. */
static void test_hypercalls(void)
{
	static const uint64_t numbers[] = { 0, 1, 39, 60, 231, TARRY_SYS_VCPU_RUN, TARRY_HYPER_END, ~0ul, ~0ul - 511 };
	struct guest g;

	NEED_AVX();
	guest_make(&g, guest_keep);
	g.regs.r12 = TARRY_HYPER_RESUMED;
	g.regs.rsi = 3;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.rax, DONE);
	EXPECT(g.exit.resumed >= 3);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		g.regs.r12 = numbers[i];
		EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
		EXPECT_EQ(g.exit.regs.rax, numbers[i]);
		EXPECT(g.exit.regs.rip < guest_address(guest_hold));
	}
	guest_end_of(&g);
}

/* --- Both compute --- */

static void expected_result(const double *in, double *out, uint64_t steps)
{
	for (int i = 0; i < 4; i++) {
		double x = in[i], a = in[4 + i], b = in[8 + i];

		for (uint64_t n = 0; n < steps; n++)
			x = x * a + b;
		out[i] = x;
	}
}

/* The guest goes on tick by tick, and each time its owner has a pattern in all registers. */
static void compute_both(uint32_t seed)
{
	struct guest g;
	double *in, out[4];
	long result = TARRY_VCPU_BUDGET;

	guest_make(&g, guest_compute);
	in = (double *)g.data;
	for (int i = 0; i < 12; i++)
		in[i] = 1.0 / (seed + (uint32_t)i + 3);
	expected_result(in, out, STEPS);
	g.regs.rsi = STEPS;
	for (long regs = (long)&g.regs; result == TARRY_VCPU_BUDGET || result == TARRY_VCPU_INTERRUPTED; regs = 0) {
		make_pattern(&want, seed++);
		result = keep_calling3(TARRY_SYS_VCPU_RUN, g.fd, regs, 1, 1);
		compare(seed);
	}
	EXPECT_EQ(guest_exit(&g, result), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.rax, DONE);
	EXPECT(!memcmp(in + 12, out, sizeof(out)));
	guest_end_of(&g);
}

static void test_compute(void)
{
	long pids[WORKERS];
	int status;

	NEED_AVX();
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			ktap_failed = 0;
			compute_both((uint32_t)i * 1000 + 1);
			exit(ktap_failed > 100 ? 100 : ktap_failed);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		status = -1;
		wait4((int)pids[i], &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static void test_two_guests(void)
{
	struct guest g[2];
	struct registers pattern[2];

	NEED_AVX();
	for (uint32_t i = 0; i < 2; i++) {
		guest_make(&g[i], guest_keep);
		make_pattern(&pattern[i], i + 50);
		memcpy(g[i].data, pattern[i].ymm, sizeof(pattern[i].ymm));
		g[i].regs.rsi = 10;
		g[i].regs.r12 = 1;		/* not the kernel's to answer */
		EXPECT_EQ(guest_run(&g[i]), TARRY_VCPU_HYPERCALL);
	}
	make_pattern(&want, 52);
	for (uint32_t i = 0; i < 20; i++) {
		g[i % 2].exit.reason = 0;
		EXPECT_EQ(keep_calling3(TARRY_SYS_VCPU_RUN, g[i % 2].fd, 0, 0, 1), TARRY_VCPU_HYPERCALL);
		compare(i);
	}
	for (uint32_t i = 0; i < 2; i++) {
		EXPECT(!memcmp(g[i].data + 1024, pattern[i].ymm, sizeof(pattern[i].ymm)));
		guest_end_of(&g[i]);
	}
}

/* Each turn on the next CPU. */
static void test_migration(void)
{
	struct guest g;
	struct registers pattern;
	uint64_t cpus = counters().cpus;

	NEED_AVX();
	guest_make(&g, guest_keep);
	make_pattern(&pattern, 60);
	memcpy(g.data, pattern.ymm, sizeof(pattern.ymm));
	g.regs.rsi = 24;
	g.regs.r12 = 1;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	for (uint32_t i = 1; i <= 24; i++) {
		stay_on_cpus(1ul << i / 2 % cpus);	/* twice on each */
		make_pattern(&want, i);
		EXPECT_EQ(keep_calling3(TARRY_SYS_VCPU_RUN, g.fd, 0, 0, 1), TARRY_VCPU_HYPERCALL);
		compare(i);
	}
	EXPECT(!memcmp(g.data + 1024, pattern.ymm, sizeof(pattern.ymm)));
	stay_on_cpus(ALL_CPUS);
	guest_end_of(&g);
}

/* --- What it costs --- */

/* The loads and saves of a run with that many exits which the kernel answers, and no other task's. */
static void count_run(struct guest *g, struct tarry_stats *delta)
{
	struct tarry_stats before = counters(), after;

	EXPECT_EQ(guest_run(g), TARRY_VCPU_HYPERCALL);
	after = counters();
	delta->fpu_loads = after.fpu_loads - before.fpu_loads;
	delta->fpu_saves = after.fpu_saves - before.fpu_saves;
	delta->ticks = after.ticks - before.ticks;
}

/*
 * One load and one save each for guest and owner, however often the kernel lets the guest go on. Interrupts and other
 * tasks may cost more; some round is undisturbed.
 */
static void test_cost(void)
{
	struct guest g;
	struct tarry_stats delta = { .fpu_loads = ~0ul };

	NEED_AVX();
	guest_make(&g, guest_keep);
	g.regs.rsi = ASKED;
	g.regs.r12 = TARRY_HYPER_CLOCK;
	for (int i = 0; i < TRIES && (delta.fpu_loads > 2 || delta.fpu_saves > 2); i++)
		count_run(&g, &delta);
	EXPECT(g.exit.resumed >= ASKED);
	EXPECT(delta.fpu_loads <= 2);
	EXPECT(delta.fpu_saves <= 2);
	guest_end_of(&g);
}

/* --- Faults --- */

static void expect_fault(struct guest *g, const char *label, uint32_t vector, uint64_t rdi, uint64_t error)
{
	guest_aim(g, label);
	g->regs.rdi = rdi;
	EXPECT_EQ(guest_run(g), TARRY_VCPU_FAULT);
	EXPECT_EQ(g->exit.vector, vector);
	EXPECT_EQ(g->exit.error & ~(uint64_t)PF_PRESENT, error);
	EXPECT_EQ(g->exit.address, vector == EXC_PAGE_FAULT ? rdi : 0);
	EXPECT_EQ(g->exit.xfd_err, 0);
}

static void test_faults(void)
{
	struct guest g;

	NEED_VCPU();
	guest_make(&g, guest_ud);
	expect_fault(&g, guest_ud, EXC_UNDEFINED, 0, 0);
	EXPECT_EQ(g.exit.regs.rip, guest_address(guest_ud));
	expect_fault(&g, guest_divide, EXC_DIVIDE, 0, 0);
	expect_fault(&g, guest_halt, EXC_PROTECTION, 0, 0);
	EXPECT_EQ(g.exit.regs.rip, guest_address(guest_halt));
	expect_fault(&g, guest_int3, EXC_BREAKPOINT, 0, 0);
	EXPECT_EQ(g.exit.regs.rip, guest_address(guest_int3) + 1);
	expect_fault(&g, guest_read, EXC_PAGE_FAULT, NOWHERE, PF_USER);
	expect_fault(&g, guest_write, EXC_PAGE_FAULT, NOWHERE, PF_USER | PF_WRITE);
	expect_fault(&g, guest_write, EXC_PAGE_FAULT, CODE, PF_USER | PF_WRITE);
	expect_fault(&g, guest_jump, EXC_PAGE_FAULT, NOWHERE, PF_USER | PF_FETCH);
	expect_fault(&g, guest_jump, EXC_PAGE_FAULT, DATA, PF_USER | PF_FETCH);
	expect_fault(&g, guest_read, EXC_PROTECTION, 0x800000000000, 0);
	/* an address of the owner's that the guest does not have; the kernel's */
	expect_fault(&g, guest_read, EXC_PAGE_FAULT, (uint64_t)&avx, PF_USER);
	expect_fault(&g, guest_read, EXC_PAGE_FAULT, 0xffffffff80100000, PF_USER);
	guest_aim(&g, guest_done);
	g.regs.rflags = 0x100;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_FAULT);
	EXPECT_EQ(g.exit.vector, EXC_DEBUG);
	EXPECT_EQ(g.exit.regs.rip, guest_address(guest_done) + 5);
	guest_end_of(&g);
}

static void test_budget(void)
{
	struct guest g;
	long result = TARRY_VCPU_INTERRUPTED;

	NEED_VCPU();
	guest_make(&g, guest_spin);
	for (uint64_t budget = 1; budget < 5; budget++) {
		for (int i = 0; i < TRIES && result != TARRY_VCPU_BUDGET; i++)
			result = vcpu_run(g.fd, &g.regs, budget);
		EXPECT_EQ(guest_exit(&g, result), TARRY_VCPU_BUDGET);
		EXPECT(g.exit.resumed >= budget - 1);
		EXPECT_EQ(g.exit.regs.rip, g.regs.rip);
		result = TARRY_VCPU_INTERRUPTED;
	}
	guest_end_of(&g);
}

/* --- Keys --- */

static void test_keys(void)
{
	struct guest g;
	struct tarry_vcpu_memory m = { NOWHERE, PAGE_SIZE, 0, PROT_READ | PROT_WRITE, 3 };
	uint32_t mine;

	NEED_VCPU();
	if (!has_pkeys())
		SKIP("no protection keys");
	mine = rdpkru();
	guest_make(&g, guest_keys);
	EXPECT_EQ(vcpu_memory(g.fd, &m), 0);
	g.regs.rdi = NOWHERE;			/* all open but ours: the owner's stack and code have key 0 */
	g.regs.rsi = 3u << 2 * 2;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.r8, PKRU_DEFAULT);
	EXPECT_EQ(rdpkru(), mine);
	g.regs.rsi = 1u << 2 * 3;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_FAULT);
	EXPECT_EQ(g.exit.vector, EXC_PAGE_FAULT);
	EXPECT_EQ(g.exit.error, PF_USER | PF_PRESENT | PF_KEY);
	EXPECT_EQ(g.exit.regs.r8, 3u << 2 * 2);
	EXPECT_EQ(rdpkru(), mine);
	/* Key 0 closed: its own code can still be fetched, and the kernel writes to the owner with the owner's keys. */
	g.regs.rdi = DATA;
	g.regs.rsi = ~0u;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_FAULT);
	EXPECT_EQ(g.exit.address, DATA);
	EXPECT_EQ(rdpkru(), mine);
	/* The owner's are closed, the guest's are not. */
	wrpkru(pkru_with(mine, 5, 3));
	g.regs.rsi = 0;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.r8, ~0u);
	EXPECT_EQ(rdpkru(), pkru_with(mine, 5, 3));
	wrpkru(mine);
	guest_end_of(&g);
}

static const struct ktap_test tests[] = {
	{ "registers go in and come out", test_registers },
	{ "hypercalls", test_hypercalls },
	{ "guest and owner compute", test_compute },
	{ "two guests", test_two_guests },
	{ "from CPU to CPU", test_migration },
	{ "what the kernel answers loads nothing", test_cost },
	{ "faults", test_faults },
	{ "budget", test_budget },
	{ "protection keys", test_keys },
};

int main(void)
{
	detect();
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
