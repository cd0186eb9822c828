/*
 * vcpu - guests with registers of their own, beside an owner with its own. Catches: values that cross the border, in
 * either direction (museum entry 37); a load or save more than a run needs; a parked context that signals and debuggers
 * don't see; PKRU of the wrong one; a guest that runs on with what it had on another CPU; XFD that its image does not obey
 * (39); a reset that trusts in what it expects (38); an XFD_ERR that is lost or stays (40).
 */
#include "ptrace.h"
#include "registers.h"
#include "vcpu.h"
#include <sigcontext.h>
#include <xstate.h>

enum { STEPS = 200000, WORKERS = 3, TRIES = 200, ASKED = 50, SYS_setitimer = 38 };

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

#define NEED_AVX() do {							\
	NEED_VCPU();							\
	if (!avx)							\
		SKIP("no AVX");						\
} while (0)

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
	EXPECT_EQ(delta.fpu_loads, counters().policy == TARRY_POLICY_LAZY ? delta.fpu_loads : 2);
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

/* --- Signals --- */

static struct {
	volatile int signal;
	uint8_t xmm7[16];
} seen;

/* Of the signals only the one that ends the run: at the end of a system call, whose result says so. */
static void handler(int signal, struct info *info, struct context *uc)
{
	static const uint8_t syscall_insn[2] = { 0x0f, 0x05 };

	(void)info;
	if (seen.signal || uc->rax != TARRY_VCPU_INTERRUPTED ||
	    memcmp((const void *)(uc->rip - 2), syscall_insn, sizeof(syscall_insn)))
		return;
	memcpy(seen.xmm7, uc->fpstate + 160 + 16 * 7, 16);
	seen.signal = signal;
}

/* The guest has its own pattern all the while; the frame has the owner's. */
static void test_signal(void)
{
	const uint64_t often[4] = { 0, 3000, 0, 3000 }, never[4] = { 0 };
	struct registers pattern;
	struct guest g;

	NEED_AVX();
	guest_make(&g, guest_hold);
	make_pattern(&pattern, 70);
	memcpy(g.data, pattern.ymm, sizeof(pattern.ymm));
	set_handler(SIGALRM, (void *)handler, 0, 0);
	syscall3(SYS_setitimer, 0, often, 0);
	for (uint32_t i = 0; i < 3; i++) {
		long result;

		make_pattern(&want, 71 + i);
		seen.signal = 0;
		result = keep_calling3(TARRY_SYS_VCPU_RUN, g.fd, i ? 0 : (long)&g.regs, 0, 1);
		compare(i);
		EXPECT_EQ(guest_exit(&g, result), TARRY_VCPU_INTERRUPTED);
		EXPECT_EQ(seen.signal, SIGALRM);
		EXPECT(!memcmp(seen.xmm7, want.ymm[7], 16));
		EXPECT(g.exit.regs.rip >= CODE);
	}
	syscall3(SYS_setitimer, 0, never, 0);
	set_handler(SIGALRM, SIG_DFL, 0, 0);
	EXPECT(*(uint64_t *)(g.data + 1024));
	guest_end_of(&g);
}

/* --- Debuggers --- */

static struct guest ours;
static uint8_t image[16384] __attribute__((aligned(64)));

static void hold_guest(void)
{
	struct registers pattern;
	long result;

	make_pattern(&pattern, 80);
	memcpy(ours.data, pattern.ymm, sizeof(pattern.ymm));
	make_pattern(&want, 81);
	result = keep_calling3(TARRY_SYS_VCPU_RUN, ours.fd, (long)&ours.regs, 0, 1);
	memset(want.ymm[3], 0x5a, 16);
	compare(81);
	EXPECT_EQ(guest_exit(&ours, result), TARRY_VCPU_INTERRUPTED);
	EXPECT(!memcmp(ours.data, pattern.ymm, sizeof(pattern.ymm)));
}

static void make_ours(const char *label)
{
	guest_make(&ours, label);
}

/* In a child that makes its guest itself: a guest is its maker's. */
static uint64_t *progress;

static void hold_own_guest(void)
{
	make_ours(guest_hold);
	*progress = 1;
	give(ours.fd, DATA, progress, PAGE_SIZE, PROT_READ | PROT_WRITE);
	ours.data = (uint8_t *)progress;
	hold_guest();
}

static void test_debugger(void)
{
	size_t size = sizeof(image);
	struct registers r;
	struct user_regs regs;

	NEED_AVX();
	progress = (uint64_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	start_tracee(hold_own_guest);
	EXPECT_EQ(ptrace(PTRACE_CONT, NULL, 0), 0);
	for (int i = 0; i < 10000 && *(volatile uint64_t *)(progress + 128) < 100; i++)
		sleep_ms(1);
	kill(tracee, SIGSTOP);
	EXPECT_EQ(next_stop(), STOPPED(SIGSTOP));
	regs = get_regs();
	EXPECT(regs.rip < CODE);
	EXPECT_EQ(regs.rax, TARRY_VCPU_INTERRUPTED);
	make_pattern(&r, 81);
	EXPECT_EQ(regset(PTRACE_GETREGSET, NT_X86_XSTATE, image, &size), 0);
	for (int i = 0; i < 16; i++)
		EXPECT(!memcmp(image + 160 + 16 * i, r.ymm[i], 16));
	memset(image + 160 + 16 * 3, 0x5a, 16);
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_X86_XSTATE, image, &size), 0);
	expect_end();
	munmap(progress, PAGE_SIZE);
}

static void ask_own_guest(void)
{
	make_ours(guest_keep);
	ours.regs.rsi = 3;
	ours.regs.r12 = TARRY_HYPER_CLOCK;
	EXPECT_EQ(vcpu_run(ours.fd, &ours.regs, 0), TARRY_VCPU_HYPERCALL);
	guest_aim(&ours, guest_ud);
	EXPECT_EQ(vcpu_run(ours.fd, &ours.regs, 0), TARRY_VCPU_FAULT);
}

/* Its hypercalls are no system calls of its owner's; vcpu_run ends when the run does, however that ends. */
static void test_syscall_stops(void)
{
	NEED_AVX();
	start_tracee(ask_own_guest);
	for (long result = TARRY_VCPU_HYPERCALL; result <= TARRY_VCPU_FAULT; result++) {
		do
			EXPECT_EQ(go(PTRACE_SYSCALL, 0), STOPPED(SIGTRAP));
		while (get_regs().orig_rax != TARRY_SYS_VCPU_RUN);
		EXPECT_EQ(get_regs().rax, -ENOSYS);
		EXPECT_EQ(go(PTRACE_SYSCALL, 0), STOPPED(SIGTRAP));
		EXPECT_EQ(get_regs().orig_rax, TARRY_SYS_VCPU_RUN);
		EXPECT_EQ(get_regs().rax, result);
	}
	expect_end();
}

/* --- A value that waits for the owner while the guest runs --- */

static void test_update(void)
{
	uint8_t value[256];
	struct tarry_update call = { 0, 2, 256, 0, (uint64_t)value, 0 };
	uint64_t *shared = (uint64_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	long pid;

	NEED_AVX();
	pid = fork();
	if (!pid) {
		long result = TARRY_VCPU_BUDGET;

		ktap_failed = 0;
		make_ours(guest_hold);
		give(ours.fd, DATA, shared, PAGE_SIZE, PROT_READ | PROT_WRITE);
		make_pattern(&want, 90);
		result = keep_calling3(TARRY_SYS_VCPU_RUN, ours.fd, (long)&ours.regs, 0, 1);
		for (int i = 0; i < 16; i++)
			memset(want.ymm[i] + 16, 0x33, 16);
		compare(90);
		EXPECT_EQ(result, TARRY_VCPU_INTERRUPTED);
		exit(ktap_failed > 100 ? 100 : ktap_failed);
	}
	while (!*(volatile uint64_t *)(shared + 128))
		sleep_ms(1);
	call.tid = (int32_t)pid;
	memset(value, 0x33, sizeof(value));
	EXPECT_EQ(update(&call), TARRY_UPDATE_QUEUED);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
	munmap(shared, PAGE_SIZE);
}

/* --- The whole state --- */

static struct tarry_vcpu_fpu state = { .image = (uint64_t)image, .size = sizeof(image) };

#define XSTATE_BV (*(uint64_t *)(image + 512))

static long set_state(long fd, uint64_t xfd, uint64_t init, int with_image)
{
	struct tarry_vcpu_fpu request = { with_image ? state.image : 0, state.size, xfd, init };

	return vcpu_set_fpu(fd, &request);
}

static void get_state(long fd)
{
	memset(image, 0xa5, sizeof(image));
	state.size = sizeof(image);
	EXPECT_EQ(vcpu_get_fpu(fd, &state), 0);
	EXPECT_EQ(image[state.size], 0xa5);
}

static void test_state(void)
{
	struct guest g;
	struct registers pattern;

	NEED_AVX();
	guest_make(&g, guest_keep);
	get_state(g.fd);
	EXPECT_EQ(XSTATE_BV & ~PKRU_BIT, 0);
	make_pattern(&pattern, 100);
	memcpy(g.data, pattern.ymm, sizeof(pattern.ymm));
	g.regs.rsi = 1;
	g.regs.r12 = 1;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	get_state(g.fd);
	for (int i = 0; i < 16; i++) {
		EXPECT(!memcmp(image + 160 + 16 * i, pattern.ymm[i], 16));
		EXPECT(!memcmp(image + 576 + 16 * i, pattern.ymm[i] + 16, 16));
	}
	memset(image + 160, 0x11, 256);
	memset(image + 576, 0x22, 256);
	EXPECT_EQ(set_state(g.fd, state.xfd, 0, 1), 0);
	EXPECT_EQ(vcpu_run(g.fd, NULL, 0), TARRY_VCPU_HYPERCALL);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 32; j++)
			if (g.data[1024 + 32 * i + j] != (j < 16 ? 0x11 : 0x22))
				FAIL("byte %d of ymm%d is not what was set", j, i);
	guest_end_of(&g);
}

static int all_zero(const uint8_t *bytes, size_t n)
{
	while (n && !*bytes)
		bytes++, n--;
	return !n;
}

/* From outside, when the owner's registers are there, and by the guest itself, when its own are. */
static void test_init(void)
{
	struct guest g;
	struct registers pattern;

	NEED_AVX();
	guest_make(&g, guest_keep);
	make_pattern(&pattern, 110);
	memcpy(g.data, pattern.ymm, sizeof(pattern.ymm));
	g.regs.rsi = 2;
	g.regs.r12 = 1;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	get_state(g.fd);
	EXPECT_EQ(set_state(g.fd, state.xfd, 0, 0), 0);
	EXPECT_EQ(vcpu_run(g.fd, NULL, 0), TARRY_VCPU_HYPERCALL);
	get_state(g.fd);
	EXPECT(!memcmp(image + 160, pattern.ymm[0], 16));
	EXPECT_EQ(set_state(g.fd, state.xfd, 1ul << 2, 0), 0);
	EXPECT_EQ(vcpu_run(g.fd, NULL, 0), TARRY_VCPU_HYPERCALL);
	for (int i = 0; i < 16; i++) {
		EXPECT(!memcmp(g.data + 1024 + 32 * i, pattern.ymm[i], 16));
		EXPECT(all_zero(g.data + 1024 + 32 * i + 16, 16));
	}
	/* The pattern's place is the argument: no component of the guest's. Then all of them. */
	g.regs.r12 = TARRY_HYPER_INIT;
	g.regs.rsi = 5;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	EXPECT(!memcmp(g.data + 1024, pattern.ymm, sizeof(pattern.ymm)));
	guest_aim(&g, guest_init);
	g.regs.rdi = 6;
	make_pattern(&want, 111);
	EXPECT_EQ(keep_calling3(TARRY_SYS_VCPU_RUN, g.fd, (long)&g.regs, 0, 1), TARRY_VCPU_HYPERCALL);
	compare(111);
	EXPECT_EQ(guest_exit(&g, TARRY_VCPU_HYPERCALL), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.r8, 0);
	get_state(g.fd);
	EXPECT(all_zero(image + 160, 256));
	EXPECT(all_zero(image + 576, 256));
	guest_end_of(&g);
}

/* --- Tiles --- */

enum { TILEDATA = 18, TILE_AT = 2816 };
#define TILES	(1ul << TILEDATA)

static int has_tiles(void)
{
	uint64_t mask = 0;

	syscall2(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &mask);
	return mask >> TILEDATA & 1;
}

#define NEED_TILES() do {						\
	NEED_AVX();							\
	if (!has_tiles())						\
		SKIP("no tiles: native, and the CPU has none");		\
} while (0)

/* One tile of 16 rows of 64 bytes, of which the pattern is shorter than a page: a stride of 0. */
static void make_tile(struct guest *g)
{
	memset(g->data, 0, PAGE_SIZE);
	g->data[0] = 1;
	g->data[16] = 64;
	g->data[48] = 16;
	memset(g->data + 64, 0x77, 64);
}

static long run_at(struct guest *g, const char *label, uint64_t rdi)
{
	guest_aim(g, label);
	g->regs.rdi = rdi;
	return guest_run(g);
}

/* Its owner says what it may use; none of the guest's traps is the owner's business. */
static void make_tile_guest(struct guest *g)
{
	guest_make(g, guest_tiles);
	make_tile(g);
	get_state(g->fd);
	EXPECT_EQ(state.xfd, TILES);
	EXPECT_EQ(run_at(g, guest_tiles, DATA), TARRY_VCPU_FAULT);
	EXPECT_EQ(g->exit.vector, EXC_NO_FPU);
	EXPECT_EQ(g->exit.xfd_err, TILES);
	EXPECT_EQ(g->exit.regs.rip, guest_address(guest_tile));
	EXPECT_EQ(set_state(g->fd, 0, 0, 0), 0);
	EXPECT_EQ(vcpu_run(g->fd, NULL, 0), TARRY_VCPU_HYPERCALL);
	get_state(g->fd);
	EXPECT_EQ(XSTATE_BV & TILES, TILES);
	EXPECT_EQ(image[TILE_AT + 1023], 0x77);
}

static void test_tiles(void)
{
	struct guest g;

	NEED_TILES();
	make_tile_guest(&g);
	memset(g.data + 2048, 0, 64);
	EXPECT_EQ(run_at(&g, guest_store, DATA), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.data[2048 + 63], 0x77);
	/* What an instruction that the kernel executes does wrong is the guest's fault, too. */
	EXPECT_EQ(run_at(&g, guest_tile, NOWHERE), TARRY_VCPU_FAULT);
	EXPECT_EQ(g.exit.vector, EXC_PAGE_FAULT);
	EXPECT_EQ(g.exit.address, NOWHERE + 64);
	EXPECT_EQ(run_at(&g, guest_tiles, 1ul << 60), TARRY_VCPU_FAULT);
	EXPECT_EQ(g.exit.vector, EXC_PROTECTION);
	guest_end_of(&g);
}

/* XFD is armed while the tiles are live: by the guest in its registers, by its owner in memory, and by an image. */
static void test_arming(void)
{
	struct guest g;

	NEED_TILES();
	make_tile_guest(&g);
	EXPECT_EQ(run_at(&g, guest_xfd, TILES), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.r8, 0);
	get_state(g.fd);
	EXPECT_EQ(state.xfd, TILES);
	EXPECT_EQ(XSTATE_BV & TILES, 0);
	EXPECT_EQ(run_at(&g, guest_xfd, 1ul << 17), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.exit.regs.r8, -19);
	guest_end_of(&g);

	make_tile_guest(&g);
	EXPECT_EQ(set_state(g.fd, TILES, 0, 1), 0);	/* the image has them */
	EXPECT_EQ(run_at(&g, guest_done, 0), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(set_state(g.fd, 0, 0, 0), 0);
	get_state(g.fd);
	EXPECT_EQ(XSTATE_BV & TILES, 0);
	EXPECT_EQ(set_state(g.fd, 1ul << 17, 0, 0), -EINVAL);
	guest_end_of(&g);
}

/* The guest's XFD_ERR is in its exit, whatever its owner does before it asks, and no program's #NM is taken for it. */
static void use_tiles_between(void)
{
	char *argv[] = { "intcrash", "sse", NULL };
	struct guest g;
	int status = -1;
	long pid;

	stay_on_cpus(ONE_CPU);
	EXPECT_EQ(syscall2(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA), 0);
	guest_make(&g, guest_tiles);
	make_tile(&g);
	EXPECT_EQ(vcpu_run(g.fd, &g.regs, 0), TARRY_VCPU_FAULT);
	pid = fork();
	if (!pid) {
		execve("/bin/intcrash", argv, environ);
		exit(99);
	}
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status & 0x7f, SIGSEGV);
	__asm__ volatile("ldtilecfg %0\n\t tilezero %%tmm0\n\t tilerelease" : : "m"(*(const uint8_t (*)[64])g.data));
	EXPECT_EQ(guest_exit(&g, TARRY_VCPU_FAULT), TARRY_VCPU_FAULT);
	EXPECT_EQ(g.exit.vector, EXC_NO_FPU);
	EXPECT_EQ(g.exit.xfd_err, TILES);
	guest_end_of(&g);
}

static void test_xfd_err(void)
{
	NEED_TILES();
	EXPECT_EQ(ktap_child(use_tiles_between), 0);
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
	{ "a signal to the owner", test_signal },
	{ "a debugger of the owner", test_debugger },
	{ "a debugger's system-call stops", test_syscall_stops },
	{ "an update of the owner", test_update },
	{ "the whole state", test_state },
	{ "initial components", test_init },
	{ "tiles", test_tiles },
	{ "arming XFD", test_arming },
	{ "XFD_ERR", test_xfd_err },
};

int main(void)
{
	detect();
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
