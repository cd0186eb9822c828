/*
 * vcpubad - guests with garbage: registers, memory, arguments, and ends at bad moments. Catches: a register that the kernel
 * trusts in; a call that takes what it should refuse, or keeps something of what it refused; a guest that outlives its
 * descriptor, or does not outlive another's; memory that is not given back.
 */
#include "threads.h"
#include "vcpu.h"
#include <sigcontext.h>

enum { GARBAGE = 300, TURNS = 10, TRIES = 5000, KEYS = 16 };
#define RW	(PROT_READ | PROT_WRITE)

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* A moment after an end, on a busy host a long one. */
static void expect_memory(const struct tarry_stats *before)
{
	struct tarry_stats now = counters();

	for (int i = 0; i < TRIES; i++, now = counters()) {
		if (now.free_pages + now.heap_pages >= before->free_pages + before->heap_pages &&
		    now.heap_objects <= before->heap_objects)
			return;
		sleep_ms(1);
	}
	FAIL("of %lu pages and %lu objects came %lu, %lu", before->free_pages + before->heap_pages,
	     before->heap_objects, now.free_pages + now.heap_pages, now.heap_objects);
}

/* --- Registers --- */

static uint64_t random_state = 88172645463325252;

static uint64_t random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t an_address(void)
{
	static const uint64_t addresses[] = {
		0, 8, CODE, DATA, NOWHERE, 0x7fffffffefff, 0x7ffffffffffe, 0x7fffffffffff, 0x800000000000,
		0xffff7fffffffffff, 0xffff800000000000, 0xffff888000000000, 0xffffffff80000000, 0xffffffff80100000,
		0xfffffffffffffff8, ~0ul,
	};

	return random() % 4 ? addresses[random() % ARRAY_SIZE(addresses)] : random();
}

static int is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* Whatever it is, the guest ends with it, and the flags it had are user code's. */
static void test_garbage(void)
{
	struct guest g;
	long result;

	NEED_VCPU();
	guest_make(&g, guest_push);
	for (int i = 0; i < GARBAGE; i++) {
		uint64_t *word = (uint64_t *)&g.regs;

		for (size_t n = 0; n < sizeof(g.regs) / 8; n++)
			word[n] = an_address();
		if (i % 2)
			g.regs.rip = guest_address(guest_push);
		g.regs.rflags = random();
		result = vcpu_run(g.fd, &g.regs, 2);
		if (!is_canonical(g.regs.fs_base) || !is_canonical(g.regs.gs_base)) {
			EXPECT_EQ(result, -EINVAL);
			continue;
		}
		if (result != TARRY_VCPU_FAULT && result != TARRY_VCPU_BUDGET && result != TARRY_VCPU_INTERRUPTED)
			FAIL("rip %lx, rsp %lx, rflags %lx: %ld", g.regs.rip, g.regs.rsp, g.regs.rflags, result);
		guest_exit(&g, result);
		EXPECT_EQ(g.exit.regs.rflags & ~0x240dd5ul, 0);
	}
	guest_end_of(&g);
}

/* --- Arguments --- */

static int second_run(void *argument)
{
	struct guest *g = argument;
	long result;

	do
		result = vcpu_run(g->fd, &g->regs, 0);
	while (result == -EBUSY);
	return 0;
}

static void nothing(int signal)
{
	(void)signal;
}

/* A thread runs the guest until it gets a signal. */
static void test_busy(void)
{
	struct tarry_vcpu_fpu state = { 0 };
	struct tarry_vcpu_exit exit;
	struct guest g;

	NEED_VCPU();
	guest_make(&g, guest_hold);
	set_handler(SIGALRM, (void *)nothing, 0, 0);
	thread_start(&threads[0], second_run, &g, 0);
	while (!*(volatile uint64_t *)(g.data + 1024))
		sched_yield();
	EXPECT_EQ(vcpu_run(g.fd, &g.regs, 0), -EBUSY);
	EXPECT_EQ(vcpu_run(g.fd, NULL, 1), -EBUSY);
	EXPECT_EQ(vcpu_exit_info(g.fd, &exit), -EBUSY);
	EXPECT_EQ(vcpu_set_fpu(g.fd, &state), -EBUSY);
	EXPECT_EQ(vcpu_get_fpu(g.fd, &state), -EBUSY);
	EXPECT_EQ(give(g.fd, CODE, NULL, PAGE_SIZE, RW), -EBUSY);
	/* The guest goes on without a descriptor, and goes when its run ends: with a signal to its thread. */
	EXPECT_EQ(close((int)g.fd), 0);
	EXPECT_EQ(vcpu_run(g.fd, NULL, 1), -EBADF);
	syscall3(SYS_tgkill, getpid(), threads[0].ptid, SIGALRM);
	thread_join(&threads[0]);
	set_handler(SIGALRM, SIG_DFL, 0, 0);
	munmap(g.data, PAGE_SIZE);
}

static void test_descriptors(void)
{
	struct tarry_vcpu_exit exit;
	struct guest g;
	char byte;

	NEED_VCPU();
	guest_make(&g, guest_done);
	EXPECT_EQ(vcpu_run(-1, NULL, 0), -EBADF);
	EXPECT_EQ(vcpu_run(1 << 20, NULL, 0), -EBADF);
	EXPECT_EQ(vcpu_run(1, NULL, 0), -EINVAL);
	EXPECT_EQ(vcpu_exit_info(1, &exit), -EINVAL);
	EXPECT_EQ(vcpu_exit_info(77, &exit), -EBADF);
	EXPECT_EQ(read((int)g.fd, &byte, 1), -EINVAL);
	EXPECT_EQ(write((int)g.fd, &byte, 1), -EINVAL);
	EXPECT_EQ(lseek((int)g.fd, 0, 0), -ESPIPE);
	EXPECT_EQ(fcntl((int)g.fd, 1, 0), 1);		/* F_GETFD: FD_CLOEXEC */
	/* By another descriptor of ours it is the same one. */
	EXPECT_EQ(vcpu_run(dup((int)g.fd), &g.regs, 0), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(close((int)g.fd), 0);
	g.fd++;
	EXPECT_EQ(guest_exit(&g, TARRY_VCPU_HYPERCALL), TARRY_VCPU_HYPERCALL);
	guest_end_of(&g);
}

static struct guest ours;

static void use_from_child(void)
{
	struct tarry_vcpu_fpu state = { 0 };

	EXPECT_EQ(vcpu_run(ours.fd, &ours.regs, 0), -EPERM);
	EXPECT_EQ(vcpu_exit_info(ours.fd, &ours.exit), -EPERM);
	EXPECT_EQ(give(ours.fd, CODE, NULL, PAGE_SIZE, RW), -EPERM);
	EXPECT_EQ(vcpu_get_fpu(ours.fd, &state), -EPERM);
	EXPECT_EQ(vcpu_set_fpu(ours.fd, &state), -EPERM);
}

static void test_child(void)
{
	NEED_VCPU();
	guest_make(&ours, guest_done);
	EXPECT_EQ(ktap_child(use_from_child), 0);
	EXPECT_EQ(guest_run(&ours), TARRY_VCPU_HYPERCALL);
	guest_end_of(&ours);
}

static void test_pointers(void)
{
	static void *const bad[] = { (void *)8, (void *)0x7ffffffff000, (void *)0x800000000000,
				     (void *)0xffffffff80000000 };
	struct tarry_vcpu_fpu state = { 0 };
	struct guest g;

	NEED_VCPU();
	guest_make(&g, guest_done);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(vcpu_run(g.fd, bad[i], 0), -EFAULT);
		EXPECT_EQ(vcpu_exit_info(g.fd, bad[i]), -EFAULT);
		EXPECT_EQ(vcpu_memory(g.fd, bad[i]), -EFAULT);
		EXPECT_EQ(vcpu_set_fpu(g.fd, bad[i]), -EFAULT);
		EXPECT_EQ(vcpu_get_fpu(g.fd, bad[i]), -EFAULT);
	}
	EXPECT_EQ(vcpu_get_fpu(g.fd, &state), 0);
	EXPECT(state.size >= 576);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		state.image = (uint64_t)bad[i];
		EXPECT_EQ(vcpu_set_fpu(g.fd, &state), -EFAULT);
		EXPECT_EQ(vcpu_get_fpu(g.fd, &state), -EFAULT);
	}
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	guest_end_of(&g);
}

/* --- Memory --- */

static void test_ranges(void)
{
	static const struct tarry_vcpu_memory bad[] = {
		{ NOWHERE, 0, 0, RW, 0 }, { NOWHERE, 100, 0, RW, 0 }, { NOWHERE + 1, PAGE_SIZE, 0, RW, 0 },
		{ NOWHERE, PAGE_SIZE, 1, RW, 0 }, { 0, PAGE_SIZE, 0, RW, 0 }, { 0x7ffffffff000, PAGE_SIZE, 0, RW, 0 },
		{ 0x7fffffffe000, 2 * PAGE_SIZE, 0, RW, 0 }, { -PAGE_SIZE, PAGE_SIZE, 0, RW, 0 },
		{ -PAGE_SIZE, 2 * PAGE_SIZE, 0, RW, 0 }, { NOWHERE, -PAGE_SIZE, 0, RW, 0 },
		{ NOWHERE, TARRY_VCPU_MEMORY_MAX + PAGE_SIZE, 0, RW, 0 }, { NOWHERE, PAGE_SIZE, 0, 8, 0 },
		{ NOWHERE, PAGE_SIZE, 0, RW, KEYS }, { NOWHERE, PAGE_SIZE, 0x7ffffffff000, RW, 0 },
		{ NOWHERE, PAGE_SIZE, 0xffffffff80000000, RW, 0 },
	};
	struct tarry_vcpu_memory m = { DATA, 3 * PAGE_SIZE, 0, RW, 0 };
	struct tarry_stats before;
	struct guest g;
	char *hole;

	NEED_VCPU();
	guest_make(&g, guest_done);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(vcpu_memory(g.fd, &bad[i]), -EINVAL);
	/* The third page can't be read: nothing is given, nothing is lost. */
	hole = (char *)mmap(NULL, 3 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(hole, 1, 3 * PAGE_SIZE);
	mprotect(hole + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	m.source = (uint64_t)hole;
	before = counters();
	EXPECT_EQ(vcpu_memory(g.fd, &m), -EFAULT);
	expect_memory(&before);
	munmap(hole, 3 * PAGE_SIZE);
	guest_aim(&g, guest_write);
	g.regs.rsi = 77;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	EXPECT_EQ(g.data[0], 77);
	guest_end_of(&g);
}

static uint64_t read_word(struct guest *g, uint64_t address)
{
	guest_aim(g, guest_read);
	g->regs.rdi = address;
	return guest_run(g) == TARRY_VCPU_HYPERCALL ? g->exit.regs.rbx : ~0ul;
}

/* Private memory is copied, shared memory shared, nothing is zeroes; the latest gift counts. */
static void test_memory(void)
{
	struct guest g;
	uint64_t *pages;

	NEED_VCPU();
	guest_make(&g, guest_read);
	pages = (uint64_t *)mmap(NULL, 2 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pages[0] = 5;
	pages[PAGE_SIZE / 8] = 6;
	EXPECT_EQ(give(g.fd, NOWHERE, pages, 2 * PAGE_SIZE, RW), 0);
	pages[0] = 7;
	EXPECT_EQ(read_word(&g, NOWHERE), 5);
	EXPECT_EQ(read_word(&g, NOWHERE + PAGE_SIZE), 6);
	*(volatile uint64_t *)g.data = 8;
	EXPECT_EQ(read_word(&g, DATA), 8);
	*(volatile uint64_t *)g.data = 9;
	EXPECT_EQ(read_word(&g, DATA), 9);
	EXPECT_EQ(give(g.fd, NOWHERE, NULL, PAGE_SIZE, PROT_READ), 0);
	EXPECT_EQ(read_word(&g, NOWHERE), 0);
	EXPECT_EQ(read_word(&g, NOWHERE + PAGE_SIZE), 6);
	guest_aim(&g, guest_write);
	g.regs.rdi = NOWHERE;
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_FAULT);
	EXPECT_EQ(give(g.fd, NOWHERE, NULL, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_EQ(read_word(&g, NOWHERE), ~0ul);
	munmap(pages, 2 * PAGE_SIZE);
	guest_end_of(&g);
}

/* --- Ends --- */

static volatile uint64_t *progress;

static void hold(void)
{
	struct guest g;

	guest_make(&g, guest_hold);
	give(g.fd, DATA, progress, PAGE_SIZE, RW);
	vcpu_run(g.fd, &g.regs, 0);
}

/* Killed while its guest runs; ends with a guest that has run. */
static void end_somehow(int killed)
{
	int status = -1;
	long pid;

	progress[128] = 0;
	pid = fork();
	if (!pid) {
		if (killed)
			hold();
		guest_make(&ours, guest_done);
		guest_run(&ours);
		exit(0);
	}
	while (killed && !progress[128])
		sched_yield();
	if (killed)
		kill((int)pid, SIGKILL);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, killed ? SIGKILL : 0);
}

static void close_one(void)
{
	guest_make(&ours, guest_done);
	EXPECT_EQ(guest_run(&ours), TARRY_VCPU_HYPERCALL);
	guest_end_of(&ours);
}

static void test_ends(void)
{
	struct tarry_stats before;

	NEED_VCPU();
	progress = (uint64_t *)mmap(NULL, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	end_somehow(1);
	end_somehow(0);
	close_one();
	sleep_ms(20);
	before = counters();
	for (int i = 0; i < TURNS; i++) {
		end_somehow(1);
		end_somehow(0);
		close_one();
	}
	expect_memory(&before);
	munmap((void *)progress, PAGE_SIZE);
}

/* --- Out of memory --- */

/* The n-th allocation of the call fails. 1 if it came to that: then with ENOMEM, and nothing was kept. */
static int fails_at(long n, long nr, long a, const void *b)
{
	struct tarry_stats before = counters();
	long result;

	debug(TARRY_DEBUG_FAIL_ALLOC, n);
	result = syscall3(nr, a, b, 0);
	if (debug(TARRY_DEBUG_FAIL_ALLOC, 0)) {
		EXPECT(result >= 0);
		if (nr == TARRY_SYS_VCPU_CREATE)
			close((int)result);
		return 0;
	}
	EXPECT_EQ(result, -ENOMEM);
	if (nr != TARRY_SYS_VCPU_RUN)		/* what the guest has touched before stays */
		expect_memory(&before);
	return 1;
}

static void test_shortage(void)
{
	static uint8_t image[16384] __attribute__((aligned(64)));
	struct tarry_vcpu_fpu state = { (uint64_t)image, sizeof(image), 0, 0 };
	struct tarry_vcpu_memory m = { NOWHERE, 4 * PAGE_SIZE, CODE, RW, 0 };
	struct guest g;
	long n;

	NEED_VCPU();
	if (!debug_allowed())
		SKIP("debug is not on the command line");
	guest_make(&g, guest_done);
	for (n = 1; fails_at(n, TARRY_SYS_VCPU_CREATE, 0, NULL); n++)
		;
	EXPECT(n > 4);
	m.source = (uint64_t)mmap(NULL, m.size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset((void *)m.source, 1, m.size);
	for (n = 1; fails_at(n, TARRY_SYS_VCPU_MEMORY, g.fd, &m); n++)
		;
	EXPECT(n > 5);
	munmap((void *)m.source, m.size);
	EXPECT_EQ(vcpu_get_fpu(g.fd, &state), 0);
	EXPECT(fails_at(1, TARRY_SYS_VCPU_SET_FPU, g.fd, &state));
	EXPECT(fails_at(1, TARRY_SYS_VCPU_GET_FPU, g.fd, &state));
	/* The guest's pages come while it runs. */
	for (n = 1; fails_at(n, TARRY_SYS_VCPU_RUN, g.fd, &g.regs); n++)
		EXPECT_EQ(guest_exit(&g, -ENOMEM), -ENOMEM);
	EXPECT(n > 1);
	EXPECT_EQ(guest_run(&g), TARRY_VCPU_HYPERCALL);
	guest_end_of(&g);
}

static const struct ktap_test tests[] = {
	{ "garbage in registers", test_garbage },
	{ "a guest that runs", test_busy },
	{ "descriptors", test_descriptors },
	{ "a child", test_child },
	{ "pointers", test_pointers },
	{ "ranges of memory", test_ranges },
	{ "kinds of memory", test_memory },
	{ "ends", test_ends },
	{ "out of memory", test_shortage },
};

KTAP_MAIN(tests)
