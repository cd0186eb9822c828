/*
 * amxstate - tiles as state: permission, the first use, and what happens to 8 KiB of registers in switches, frames,
 * fork, exec, threads, sleep and on other CPUs. Catches: tiles without permission, or a permission that stacks can't hold;
 * a frame that is too large before the first use or lacks tiles after it; tiles that another task sees, that are lost
 * or come back old; XFD that is another task's, or forgotten by a CPU that was down.
 */
#include "threads.h"
#include "tiles.h"

enum { PROCESSES = 5, TURNS = 200, SLEEPS = 20 };

static struct tarry_stats now(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* --- Permission --- */

static void permission(void)
{
	EXPECT_EQ(components(ARCH_GET_XCOMP_PERM) & TILE_BITS, 1ul << TILECFG);
	EXPECT_EQ(components(ARCH_GET_XCOMP_PERM) & ~components(ARCH_GET_XCOMP_SUPP), 0);
	for (long i = 0; i < 19; i++)
		if (i != TILEDATA)
			EXPECT_EQ(syscall2(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, i), -EOPNOTSUPP);
	for (long i = 19; i; i = i == 19 ? 64 : i << 1)
		EXPECT_EQ(syscall2(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, i), -EINVAL);
	EXPECT_EQ(syscall2(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, 0), -EFAULT);
	EXPECT_EQ(syscall2(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, 0xffffffff80000000), -EFAULT);
	EXPECT_EQ(ask_for_tiles(), 0);
	EXPECT_EQ(components(ARCH_GET_XCOMP_PERM) & TILE_BITS, TILE_BITS);
	EXPECT_EQ(ask_for_tiles(), 0);
}

static void skip_insn(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->rip += 5;
}

/* XFD leaves the configuration alone. */
static void without_permission(void)
{
	struct config config;

	set_handler(SIGILL, skip_insn, 0, 0);
	reset();
	ldtilecfg(&whole);
	config = sttilecfg();
	EXPECT(!memcmp(&config, &whole, sizeof(config)));
	EXPECT_EQ(calls, 0);
	TILEZERO(0);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_signal, SIGILL);
	EXPECT_EQ(last_info.code, ILL_ILLOPC);
	EXPECT_EQ(last_info.address, last_context.rip);
	EXPECT_EQ(last_context.trap, 7);
	tilerelease();
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(sttilecfg().palette, 0);
}

static uint8_t alternate[4 * PAGE_SIZE];

static long set_stack(uint64_t size)
{
	struct stack stack = { alternate, size ? 0 : SS_DISABLE, 0, size };

	return syscall2(SYS_sigaltstack, &stack, NULL);
}

static void stacks(void)
{
	uint64_t least = getauxval(AT_MINSIGSTKSZ);

	EXPECT(least > SIZE_WITH && least < sizeof(alternate));
	EXPECT_EQ(set_stack(4096), 0);
	EXPECT_EQ(ask_for_tiles(), -ENOSPC);
	EXPECT_EQ(components(ARCH_GET_XCOMP_PERM) & TILE_BITS, 1ul << TILECFG);
	EXPECT_EQ(set_stack(least + 1), 0);
	EXPECT_EQ(ask_for_tiles(), 0);
	EXPECT_EQ(set_stack(4096), -ENOMEM);
	EXPECT_EQ(set_stack(SIZE_WITH), -ENOMEM);
	EXPECT_EQ(set_stack(0), 0);
	EXPECT_EQ(set_stack(least + 1), 0);
	set_handler(SIGUSR1, note, SA_ONSTACK, 0);
	load_tiles(3);
	reset();
	raise(SIGUSR1);
	EXPECT_EQ(calls, 1);
	EXPECT((uint8_t *)stack_inside > alternate && (uint8_t *)stack_inside < alternate + sizeof(alternate));
	EXPECT(tiles_are_pattern());
}

/* --- Frames --- */

static uint32_t frame_size;
static uint64_t frame_features, frame_bv;
static uint8_t frame_config[64];
static int frame_edit;

static void look(int signal, struct info *info, struct context *uc)
{
	struct sw *sw = sw_of(uc);

	note(signal, info, uc);
	frame_size = sw->xstate_size;
	frame_features = sw->xfeatures;
	memcpy(&frame_bv, uc->fpstate + 512, 8);
	memcpy(frame_config, uc->fpstate + CONFIG_OFFSET, sizeof(frame_config));
	EXPECT_EQ(sw->extended_size, frame_size + 4);
	EXPECT_EQ(*(uint32_t *)(uc->fpstate + frame_size), MAGIC2);
	EXPECT_EQ(sttilecfg().palette, 0);
	if (frame_size == SIZE_WITH) {
		EXPECT(!memcmp(uc->fpstate + SIZE_WITHOUT, pattern, frame_bv >> TILEDATA & 1 ? sizeof(pattern) : 0));
		load_tiles(99); /* the handler's own are given up at the end */
	}
	if (frame_edit > 0)
		uc->fpstate[SIZE_WITHOUT + COLSB + 3] ^= 0xff;
	if (frame_edit < 0)
		uc->fpstate[514] &= (uint8_t)~4; /* TILEDATA is initial */
}

static void take_frame(int edit)
{
	set_handler(SIGUSR1, look, 0, 0);
	frame_edit = edit;
	reset();
	raise(SIGUSR1);
	EXPECT_EQ(calls, 1);
}

static void frames(void)
{
	static const tile_bytes zero;

	EXPECT_EQ(ask_for_tiles(), 0);
	take_frame(0);
	EXPECT_EQ(frame_size, SIZE_WITHOUT);
	EXPECT_EQ(frame_features & TILE_BITS, 1ul << TILECFG);
	EXPECT_EQ(frame_bv & TILE_BITS, 0);
	ldtilecfg(&whole);
	take_frame(0);
	EXPECT_EQ(frame_size, SIZE_WITHOUT);
	EXPECT_EQ(frame_bv & TILE_BITS, 1ul << TILECFG);
	EXPECT(!memcmp(frame_config, &whole, sizeof(frame_config)));
	load_tiles(17);
	take_frame(0);
	EXPECT_EQ(frame_size, SIZE_WITH);
	EXPECT_EQ(frame_features & TILE_BITS, TILE_BITS);
	EXPECT_EQ(frame_bv & TILE_BITS, TILE_BITS);
	make_tiles(17);
	EXPECT(tiles_are_pattern());
	take_frame(1);
	make_tiles(17);
	pattern[0][1][3] ^= 0xff;
	EXPECT(tiles_are_pattern());
	take_frame(-1);
	TILESTORE(5, stored[0], COLSB);
	EXPECT(!memcmp(stored[0], zero, sizeof(zero)));
	tilerelease();
	take_frame(0);
	EXPECT_EQ(frame_bv & TILE_BITS, 0);
	EXPECT_EQ(frame_features & TILE_BITS, TILE_BITS);
}

/* --- Children, programs, threads --- */

static void child_of_tiles(void)
{
	static const tile_bytes zero;

	take_frame(0);
	EXPECT_EQ(frame_size, SIZE_WITHOUT);
	EXPECT_EQ(components(ARCH_GET_XCOMP_PERM) & TILE_BITS, TILE_BITS);
	EXPECT_EQ(sttilecfg().rows[7], 16);
	memset(stored, 1, sizeof(stored[0]));
	TILESTORE(2, stored[0], COLSB);
	EXPECT(!memcmp(stored[0], zero, sizeof(zero)));
	take_frame(0);
	EXPECT_EQ(frame_size, SIZE_WITH);
	load_tiles(2);
	EXPECT(tiles_are_pattern());
}

static void forks(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	load_tiles(1);
	EXPECT_EQ(ktap_child(child_of_tiles), 0);
	make_tiles(1);
	EXPECT(tiles_are_pattern());
}

/* What the program does when it is started with an argument: 0 is as it should be. */
static int fresh_program(void)
{
	take_frame(0);
	return (components(ARCH_GET_XCOMP_PERM) & TILE_BITS) != 1ul << TILECFG || sttilecfg().palette || ktap_failed ||
	       frame_size != SIZE_WITHOUT || frame_bv & TILE_BITS;
}

static void execs(void)
{
	char *argv[] = { "amxstate", "--fresh", NULL };

	EXPECT_EQ(ask_for_tiles(), 0);
	load_tiles(1);
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
	FAIL("no exec");
}

static int thread_result, thread_uses;

static int in_thread(void *argument)
{
	static const tile_bytes zero;

	(void)argument;
	if (thread_uses) {
		ldtilecfg(&whole);
		TILEZERO(1);
		TILESTORE(1, stored[1], COLSB);
		thread_result = memcmp(stored[1], zero, sizeof(zero));
	} else {
		thread_result = sttilecfg().rows[7] != 16; /* as fork leaves it */
	}
	return 0;
}

static void in_threads(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	load_tiles(8);
	for (thread_uses = 0; thread_uses < 2; thread_uses++) {
		thread_result = -1;
		EXPECT(thread_start(&threads[0], in_thread, NULL, CLONE_SETTLS) > 0);
		thread_join(&threads[0]);
		EXPECT_EQ(thread_result, 0);
	}
	EXPECT(tiles_are_pattern());
}

/* --- Switches --- */

static void keep_tiles(uint32_t i, uint64_t cpus)
{
	ktap_failed = 0;
	if (i % 3)
		load_tiles(i + 1);
	for (uint64_t turn = 0; turn < TURNS; turn++) {
		uint64_t mask = 1ul << (turn + i) % cpus;

		if (turn % 8 == 0)
			syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
		else
			syscall0(SYS_sched_yield);
		if (i % 3 ? !tiles_are_pattern() : sttilecfg().palette)
			FAIL("process %u, turn %lu: other tiles", i, turn);
	}
	if (i % 3 == 0)
		take_frame(0);
	if (i % 3 == 0 && frame_size != SIZE_WITHOUT)
		FAIL("process %u has tiles, and never used any", i);
	exit(ktap_failed != 0);
}

static void switches(void)
{
	uint64_t cpus = now().cpus;
	int status;

	EXPECT_EQ(ask_for_tiles(), 0);
	for (uint32_t i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			keep_tiles(i, cpus);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

/* A CPU that sleeps gives the tiles up; they must come back from memory. */
static void sleeps(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	stay_on_cpus(ONE_CPU);
	load_tiles(5);
	for (int i = 0; i < SLEEPS; i++) {
		sleep_ms(2);
		EXPECT(tiles_are_pattern());
	}
}

/* A CPU comes back from reset with XFD clear, whatever its shadow says. */
static void cpu_comes_back(void)
{
	uint64_t second = 2;

	set_handler(SIGILL, skip_insn, 0, 0);
	EXPECT_EQ(debug(TARRY_DEBUG_CPU_OFFLINE, 1), 0);
	EXPECT_EQ(debug(TARRY_DEBUG_CPU_ONLINE, 1), 0);
	EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, sizeof(second), &second), 0);
	ldtilecfg(&whole);
	reset();
	TILEZERO(0);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(ask_for_tiles(), 0);
	load_tiles(12);
	stay_on_cpus(ONE_CPU);
	EXPECT_EQ(debug(TARRY_DEBUG_CPU_OFFLINE, 1), 0);
	EXPECT_EQ(debug(TARRY_DEBUG_CPU_ONLINE, 1), 0);
	EXPECT_EQ(syscall3(SYS_sched_setaffinity, 0, sizeof(second), &second), 0);
	EXPECT(tiles_are_pattern());
}

/* --- Out of memory --- */

/* The next allocation fails; nothing is allocated between the call and the instruction but for the tiles. */
static void fail_once(void)
{
	long result = TARRY_SYS_DEBUG;

	__asm__ volatile("syscall\n\ttilezero %%tmm0" : "+a"(result)
			 : "D"((long)TARRY_DEBUG_FAIL_ALLOC), "S"(1l) : "rcx", "r11", "memory");
}

static void without_memory(void)
{
	set_handler(SIGSEGV, note, 0, 0);
	EXPECT_EQ(ask_for_tiles(), 0);
	ldtilecfg(&whole);
	reset();
	fail_once(); /* the handler returns to the instruction, and then there is memory */
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, SI_KERNEL);
	EXPECT_EQ(last_info.address, 0);
	EXPECT_EQ(last_context.trap, 7);
	load_tiles(6);
	EXPECT(tiles_are_pattern());
}

static void test_permission(void) { IN_CHILD(permission); }
static void test_without_permission(void) { IN_CHILD(without_permission); }
static void test_stacks(void) { IN_CHILD(stacks); }
static void test_frames(void) { IN_CHILD(frames); }
static void test_forks(void) { IN_CHILD(forks); }
static void test_execs(void) { IN_CHILD(execs); }
static void test_threads(void) { IN_CHILD(in_threads); }
static void test_switches(void) { IN_CHILD(switches); }
static void test_sleeps(void) { IN_CHILD(sleeps); }

static void test_cpus(void)
{
	if (now().cpus < 2 || !debug_allowed())
		SKIP("needs two processors and the debug call");
	IN_CHILD(cpu_comes_back);
}

static void test_memory(void)
{
	if (!debug_allowed())
		SKIP("needs the debug call");
	IN_CHILD(without_memory);
}

static void test_none(void)
{
	if (has_tiles())
		SKIP("there are tiles");
	EXPECT_EQ(ask_for_tiles(), -EOPNOTSUPP);
	EXPECT_EQ(components(ARCH_GET_XCOMP_SUPP), components(ARCH_GET_XCOMP_PERM));
}

static const struct ktap_test tests[] = {
	{ "permission", test_permission },
	{ "no permission", test_without_permission },
	{ "alternate stacks", test_stacks },
	{ "frames", test_frames },
	{ "fork", test_forks },
	{ "exec", test_execs },
	{ "threads", test_threads },
	{ "switches and migration", test_switches },
	{ "sleep", test_sleeps },
	{ "a processor down and up", test_cpus },
	{ "no memory", test_memory },
	{ "a CPU without tiles", test_none },
};

int main(int argc, char **argv)
{
	(void)argv;
	return argc > 1 ? fresh_program() : ktap_run(tests, (int)ARRAY_SIZE(tests));
}
