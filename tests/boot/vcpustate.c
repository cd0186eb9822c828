/*
 * vcpustate - who sees and writes which of the two contexts while a guest runs, or has run. Catches: a parked context that
 * signals, debuggers and updates don't get; an image of the guest that is not what it has; a reset that trusts in what it
 * expects (museum entry 38); XFD that the image does not obey (39); an XFD_ERR that is lost or stays (40).
 */
#include "ptrace.h"
#include "registers.h"
#include "vcpu.h"
#include <sigcontext.h>
#include <xstate.h>

enum { SYS_setitimer = 38, MANY = 300 };

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
	volatile uint64_t *count;
	struct registers pattern;
	struct guest g;

	NEED_AVX();
	guest_make(&g, guest_hold);
	make_pattern(&pattern, 70);
	memcpy(g.data, pattern.ymm, sizeof(pattern.ymm));
	set_handler(SIGALRM, (void *)handler, 0, 0);
	count = (volatile uint64_t *)(g.data + 1024);
	syscall3(SYS_setitimer, 0, often, 0);
	for (uint32_t i = 0; i < 3 || (!*count && i < MANY); i++) { /* a signal may come before the guest runs */
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
	EXPECT(*count);
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

/* In a child that makes its guest itself: a guest is its maker's. */
static uint64_t *progress;

static void hold_own_guest(void)
{
	guest_make(&ours, guest_hold);
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
	guest_make(&ours, guest_keep);
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
		guest_make(&ours, guest_hold);
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
