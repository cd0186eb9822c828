/*
 * update - one component of a task's extended state set by the update call: the caller's own, that of a sleeping or
 * stopped task, and of one that runs meanwhile, on this CPU or another. Catches: a value that is lost, that goes to whoever runs
 * there (museum entry 11), or that costs another register; a component that programs could not set and can now; a
 * queue that grows, keeps the first value, or is not given back.
 */
#include "components.h"

#define RW		(PROT_READ | PROT_WRITE)
#define TRIES		3000
#define ROUNDS		60
#define UNDISTURBED_WITHIN 50
#define LONG_ENOUGH	100000u	/* looks at its own registers */
#define RUNNERS_CPU	1

enum { CONTINUE = 18, STOP = 19, UNTRACED = 2 }; /* SIGCONT, SIGSTOP, WUNTRACED */

#define NEED_CALL() do { if (!on_tarry()) SKIP("not Linux's"); } while (0)
#define EACH_COMPONENT(c) for (uint32_t c = AVX; c <= LAST_COMPONENT; c++) if (settable() >> c & 1)

static struct shared {
	struct image before, after;
	volatile uint32_t rounds, strange;
} *shared;
static uint8_t value[VALUE_SIZE] __attribute__((aligned(8))), old[VALUE_SIZE] __attribute__((aligned(8)));

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* Those that a program may set by itself, and in a lab those of the kernel that this machine has. */
static uint64_t settable(void)
{
	static uint64_t found;

	if (!found) {
		found = user_components() & 0x2e4;
		for (uint32_t c = PASID; c <= CET_U; c++)
			if (!set(0, c, NULL, old))
				found |= 1ul << c;
	}
	return found;
}

/* --- The caller --- */

static struct image image;

/* What XSAVE finds must be it, for what XSAVE can find. */
static int shown(uint32_t c)
{
	if (c == PASID || c == CET_U)
		return !set(0, c, NULL, old) && !memcmp(old, value, component_size(c));
	memset(&image, 0, sizeof(image));
	xsave(&image, 1ul << c);
	return !memcmp(component_in(&image, c), value, component_size(c));
}

static void test_own(void)
{
	NEED_CALL();
	EACH_COMPONENT(c)
		for (uint32_t seed = 0; seed < 5; seed++) {
			uint8_t before[1024];

			memcpy(before, value, sizeof(before));
			make_value(value, c, seed);
			EXPECT_EQ(set(0, c, value, old), 0);
			if (seed && memcmp(old, before, component_size(c)))
				FAIL("component %u: the value before is wrong", c);
			if (!shown(c))
				FAIL("component %u is not what it was set to", c);
		}
	set(0, PKRU, memset(value, 0, 8), NULL);
}

/* An initial component has the initial value, whatever lies in memory. */
static void test_initial(void)
{
	NEED_CALL();
	memset(&image, 0, sizeof(image));
	EACH_COMPONENT(c) {
		if (c >= PASID)
			continue;
		xrstor(&image, 1ul << c);
		memset(old, 0xee, sizeof(old));
		EXPECT_EQ(set(0, c, NULL, old), 0);
		for (uint32_t i = 0; i < component_size(c); i++)
			if (old[i])
				FAIL("component %u: byte %u of the initial value is %x", c, i, old[i]);
	}
}

/* Each component of the caller is set once. How many of them by an instruction of their own. */
static uint64_t set_each_and_count(uint64_t *n, uint64_t *direct)
{
	struct tarry_stats a = counters(), b;

	*n = *direct = 0;
	EACH_COMPONENT(c) {
		make_value(value, c, 3);
		set(0, c, value, NULL);
		++*n;
		*direct += c == PKRU || c == PASID;
	}
	b = counters();

	EXPECT_EQ(b.fpu_updates_registers + b.fpu_updates_memory + b.fpu_updates_initial - a.fpu_updates_registers -
		  a.fpu_updates_memory - a.fpu_updates_initial, *n);
	EXPECT_EQ(b.fpu_updates_direct + b.fpu_updates_flagged + b.fpu_updates_loaded - a.fpu_updates_direct -
		  a.fpu_updates_flagged - a.fpu_updates_loaded, *n);
	EXPECT(b.fpu_updates_flagged == a.fpu_updates_flagged || b.fpu_updates_loaded == a.fpu_updates_loaded);
	return b.fpu_updates_direct - a.fpu_updates_direct;
}

/* Who was preempted on the way has its PASID in memory: that one is then not direct. */
static void test_counters(void)
{
	uint64_t n, direct, found = 0;

	NEED_CALL();
	settable();
	for (int i = 0; i < UNDISTURBED_WITHIN; i++) {
		found = set_each_and_count(&n, &direct);
		if (found == direct)
			break;
		if (found > direct)
			FAIL("%lu of %lu updates were direct", found, n);
	}
	EXPECT_EQ(found, direct);
	set(0, PKRU, memset(value, 0, 8), NULL);
}

/* --- A sleeping task --- */

static int fds[2];

static void sleeper(void)
{
	uint64_t mask = xgetbv(0);
	char byte;

	memset(shared, 0, sizeof(*shared));
	memset(&image, 0, sizeof(image));
	memset(image.legacy + 160, 0x77, 256);
	memcpy(image.legacy, "\x7f\x03", 2);
	memcpy(image.legacy + 24, "\x80\x1f", 2);
	image.xstate_bv = 3;
	xrstor(&image, mask);
	__asm__ volatile("mov %[mask], %%rax\n\txor %%edx, %%edx\n\t" OBEY_TS "xsave64 (%[before])\n\t"
			 "xor %%eax, %%eax\n\tmov %[n], %%edx\n\tsyscall\n\t"
			 "mov %[mask], %%rax\n\txor %%edx, %%edx\n\t" OBEY_TS "xsave64 (%[after])"
			 : : [mask] "r"(mask), [before] "r"(&shared->before), [after] "r"(&shared->after),
			     [n] "i"(1), "D"((long)fds[0]), "S"(&byte) : "rax", "rdx", "rcx", "r11", "memory");
	for (uint32_t c = PASID; c <= CET_U; c++)
		if (settable() >> c & 1)
			set(0, c, NULL, shared->after.rest + VALUE_SIZE + 16 * c);
}

/* True once it is asleep: nobody can look at it before. */
static int asleep(long tid)
{
	long result = -EBUSY;

	for (int i = 0; i < TRIES && result == -EBUSY; i++) {
		sleep_ms(1);
		result = set(tid, settable() & 1ul << PKRU ? PKRU : AVX, NULL, old);
	}
	return !result;
}

static void compare_sleeper(void)
{
	EACH_COMPONENT(c) {
		make_value(value, c, 100 + c);
		if (memcmp(c >= PASID ? shared->after.rest + VALUE_SIZE + 16 * c : component_in(&shared->after, c),
			   value, component_size(c)))
			FAIL("component %u has not reached the sleeper", c);
	}
	if (memcmp(&shared->before.legacy, &shared->after.legacy, sizeof(shared->before.legacy)))
		FAIL("the sleeper's x87 or SSE registers have changed");
}

static void set_sleeper(uint64_t mask)
{
	int status;
	long pid;

	pipe(fds);
	pid = fork();
	if (!pid) {
		stay_on_cpus(mask);
		sleeper();
		exit(0);
	}
	EXPECT(asleep(pid));
	EACH_COMPONENT(c) {
		make_value(value, c, 100 + c);
		EXPECT_EQ(set(pid, c, value, NULL), 0);
		EXPECT_EQ(set(pid, c, NULL, old), 0);
		if (memcmp(old, value, component_size(c)))
			FAIL("component %u of the sleeper is not what it was set to", c);
	}
	write(fds[1], "x", 1);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
	compare_sleeper();
	close(fds[0]);
	close(fds[1]);
}

/* Its registers are still in its CPU, or somebody else's are. */
static void test_sleeper(void)
{
	NEED_CALL();
	stay_on_cpus(ONE_CPU);
	set_sleeper(ONE_CPU);
	if (counters().cpus > RUNNERS_CPU)
		set_sleeper(1ul << RUNNERS_CPU);
	stay_on_cpus(ALL_CPUS);
}

/* --- A task that runs, and another one beside it --- */

static void run_on(void)
{
	for (;; shared->rounds++)
		xsave(&shared->after, user_components());
}

/* Has its own values everywhere, and must keep them. */
static void run_beside(void)
{
	struct image *mine = &image;

	memset(mine, 0, sizeof(*mine));
	for (uint32_t c = AVX; c < PASID; c++)
		if (settable() >> c & 1) {
			make_value(component_in(mine, c), c, 77);
			mine->xstate_bv |= 1ul << c;
		}
	xrstor(mine, mine->xstate_bv);
	for (;;) {
		xsave(&shared->before, mine->xstate_bv);
		if (memcmp(shared->before.rest, mine->rest, sizeof(mine->rest)))
			shared->strange++;
	}
}

static long start(void (*f)(void), uint64_t mask)
{
	long pid = fork();

	if (!pid) {
		stay_on_cpus(mask);
		f();
	}
	return pid;
}

static void stop(long pid)
{
	kill((int)pid, SIGKILL);
	wait4((int)pid, NULL, 0);
}

static int arrives(uint32_t c)
{
	for (uint32_t start = shared->rounds; shared->rounds - start < LONG_ENOUGH; sleep_ms(1))
		if (!memcmp(component_in(&shared->after, c), value, component_size(c)))
			return 1;
	return 0;
}

static void set_runner(long pid, uint64_t *queued)
{
	for (uint32_t seed = 1; seed <= ROUNDS; seed++)
		EACH_COMPONENT(c) {
			make_value(value, c, seed);
			*queued += set(pid, c, value, NULL) == TARRY_UPDATE_QUEUED;
		}
	EACH_COMPONENT(c) {
		make_value(value, c, ROUNDS);
		if (c < PASID && !arrives(c))
			FAIL("component %u has not arrived", c);
	}
}

static void set_a_runner(int with_neighbour)
{
	uint64_t mask = counters().cpus > RUNNERS_CPU ? 1ul << RUNNERS_CPU : ONE_CPU, queued = 0, before;
	long runner, neighbour = 0;

	memset(shared, 0, sizeof(*shared));
	runner = start(run_on, mask);
	if (with_neighbour)
		neighbour = start(run_beside, mask);
	while (!shared->rounds || (neighbour && !shared->before.xstate_bv))
		sleep_ms(1);
	before = counters().fpu_updates_queued;
	set_runner(runner, &queued);
	EXPECT_EQ(counters().fpu_updates_queued - before, queued);
	EXPECT(queued);
	EXPECT_EQ(set(runner, PKRU, NULL, old), settable() >> PKRU & 1 ? -EBUSY : -EINVAL);
	if (shared->strange)
		FAIL("the neighbour found %u times other registers than its own", shared->strange);
	if (neighbour)
		stop(neighbour);
	stop(runner);
}

/* The last value of each component arrives, and the neighbour notices nothing. */
static void test_runner(void)
{
	NEED_CALL();
	stay_on_cpus(ONE_CPU);
	set_a_runner(0);
	set_a_runner(1);
	stay_on_cpus(ALL_CPUS);
}

/* --- A task that was stopped while it ran --- */

static void test_stopped(void)
{
	uint64_t mask = counters().cpus > RUNNERS_CPU ? 1ul << RUNNERS_CPU : ONE_CPU;
	int status = 0;
	long pid;

	NEED_CALL();
	stay_on_cpus(ONE_CPU);
	memset(shared, 0, sizeof(*shared));
	pid = start(run_on, mask);
	while (!shared->rounds)
		sleep_ms(1);
	kill((int)pid, STOP);
	EXPECT_EQ(syscall4(SYS_wait4, pid, &status, UNTRACED, NULL), pid);
	EXPECT(asleep(pid));
	EACH_COMPONENT(c) {
		make_value(value, c, 200 + c);
		EXPECT_EQ(set(pid, c, value, NULL), 0);
		EXPECT_EQ(set(pid, c, NULL, old), 0);
		EXPECT(!memcmp(old, value, component_size(c)));
	}
	kill((int)pid, CONTINUE);
	EACH_COMPONENT(c) {
		make_value(value, c, 200 + c);
		if (c < PASID && !arrives(c))
			FAIL("component %u has not arrived", c);
	}
	stop(pid);
	stay_on_cpus(ALL_CPUS);
}

/* What nobody has taken goes with the task. */
static void end_with_queue(void)
{
	long pid = start(run_on, ONE_CPU);

	EACH_COMPONENT(c) {
		make_value(value, c, 5);
		set(pid, c, value, NULL);
	}
	stop(pid);
}

static void test_end(void)
{
	uint64_t before;

	NEED_CALL();
	stay_on_cpus(ONE_CPU);
	end_with_queue();
	sleep_ms(20);
	before = counters().heap_objects;
	for (int i = 0; i < 20; i++)
		end_with_queue();
	for (int i = 0; i < TRIES && counters().heap_objects > before; i++)
		sleep_ms(1);
	EXPECT(counters().heap_objects <= before);
	stay_on_cpus(ALL_CPUS);
}

/* --- What is refused --- */

static void test_refused(void)
{
	struct tarry_update call = { 0, AVX, component_size(AVX), 0, (uint64_t)value, 0 };

	NEED_CALL();
	EXPECT_EQ(update(NULL), -EFAULT);
	EXPECT_EQ(update((void *)0x800000000000), -EFAULT);
	for (uint32_t c = 0; c < 70; c++)
		for (uint32_t size = 0; size < 4096; size += c == AVX ? 1 : 511) {
			call.component = c;
			call.size = size;
			if (c >= 64 || !(settable() >> c & 1) || size != component_size(c))
				EXPECT_EQ(update(&call), -EINVAL);
		}
	if (!(settable() >> AVX & 1))
		return;
	EXPECT_EQ(set(0, AVX, (void *)0x1000, NULL), -EFAULT);
	EXPECT_EQ(set(0, AVX, value, (void *)0x1000), -EFAULT);
	EXPECT_EQ(set(999999, AVX, value, NULL), -ESRCH);
	EXPECT_EQ(set(-1, AVX, value, NULL), -ESRCH);
	EXPECT_EQ(set(1, AVX, value, NULL), -ESRCH);
}

static void test_reserved(void)
{
	static const struct { uint32_t component; uint64_t words[2]; } bad[] = {
		{ PKRU, { 1ul << 32 } }, { PASID, { 1ul << 20 } }, { PASID, { 1ul << 32 | 1ul << 31 } },
		{ CET_U, { 1ul << 6 } }, { CET_U, { 3ul << 10 } }, { CET_U, { 0, 1 } }, { CET_U, { 0, 1ul << 50 } },
	};

	NEED_CALL();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (settable() >> bad[i].component & 1)
			EXPECT_EQ(set(0, bad[i].component, bad[i].words, NULL), -EINVAL);
}

static const struct ktap_test tests[] = {
	{ "the caller's components", test_own },
	{ "an initial component", test_initial },
	{ "counters", test_counters },
	{ "a sleeping task", test_sleeper },
	{ "a running task and its neighbour", test_runner },
	{ "a stopped task", test_stopped },
	{ "a task that ends first", test_end },
	{ "what is refused", test_refused },
	{ "reserved bits", test_reserved },
};

int main(void)
{
	shared = (struct shared *)mmap(NULL, sizeof(*shared), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
