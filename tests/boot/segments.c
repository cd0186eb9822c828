/*
 * segments - DS, ES, FS and GS belong to a task. Catches: selectors that one program loaded and
 * another one finds, above all when the kernel's own threads or idle ran in between and the switch
 * to the second program looks at the wrong predecessor; selectors lost by their owner; selectors
 * that survive exec.
 */
#include "ktap.h"

#define USER_DATA	0x2bU
#define ALL(selector)	((uint64_t)(selector) * 0x0001000100010001)
#define ROUNDS		30

/* All four in one word. */
static uint64_t selectors(void)
{
	uint16_t s[4];
	uint64_t all;

	__asm__ volatile("movw %%ds, %0\n movw %%es, %1\n movw %%fs, %2\n movw %%gs, %3"
			 : "=m"(s[0]), "=m"(s[1]), "=m"(s[2]), "=m"(s[3]));
	memcpy(&all, s, sizeof(all));
	return all;
}

static void load_all(uint32_t selector)
{
	__asm__ volatile("movl %0, %%ds\n movl %0, %%es\n movl %0, %%fs\n movl %0, %%gs"
			 : : "r"(selector));
}

static int to_child[2];

/* Loads its selectors and waits, again and again; they must be there when it comes back. */
static _Noreturn void child(void)
{
	char c;
	int wrong = 0;

	close(to_child[1]);
	load_all(USER_DATA);
	while (read(to_child[0], &c, 1) == 1) {
		wrong += selectors() != ALL(USER_DATA);
		load_all(USER_DATA);
	}
	exit(wrong != 0);
}

static void by_idle(void)
{
	sleep_ms(3);
}

/* Queued behind the child, which therefore runs first; its end wakes us. */
static void by_worker(void)
{
	static uint8_t packet[64];
	struct tarry_crypt call = { .input = (uint64_t)packet, .size = sizeof(packet),
				    .packets = 1, .flags = TARRY_CRYPT_WORKER };

	crypt(&call);
}

/* A kernel thread that is made for it and ends. */
static void by_thread(void)
{
	debug(TARRY_DEBUG_WAKE, 1);
}

static void by_pipe(void)
{
	sched_yield();
	sched_yield();
}

static void test_leak(void)
{
	static void (*const ways[])(void) = { by_idle, by_worker, by_thread, by_pipe };
	int status = -1;

	pipe(to_child);
	if (fork() == 0)
		child();
	close(to_child[0]);
	for (size_t way = 0; way < ARRAY_SIZE(ways); way++)
		for (int i = 0; i < ROUNDS; i++) {
			write(to_child[1], "x", 1);
			ways[way]();
			if (selectors() == 0)
				continue;
			FAIL("way %lu: selectors are %lx", way, selectors());
			load_all(0);
		}
	close(to_child[1]);
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 0);
}

static void fork_and_exec(void)
{
	char *argv[] = { "segments", "--exec", NULL };
	int status = -1;

	load_all(USER_DATA);
	if (fork() == 0) {
		if (selectors() != ALL(USER_DATA))
			exit(77);
		execve((const char *)getauxval(AT_EXECFN), argv, environ);
	}
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 55 << 8);
	EXPECT_EQ(selectors(), ALL(USER_DATA));
}

static void test_inherited(void)
{
	EXPECT_EQ(ktap_child(fork_and_exec), 0);
	EXPECT_EQ(selectors(), 0);
}

/* Tasks that end with selectors loaded leave them to nobody. */
static void end_loaded(void)
{
	load_all(USER_DATA);
}

static void test_death(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(ktap_child(end_loaded), 0);
		EXPECT_EQ(selectors(), 0);
		load_all(0);
	}
}

static const struct ktap_test tests[] = {
	{ "nobody else's selectors", test_leak }, { "fork and exec", test_inherited },
	{ "after a death", test_death },
};

int main(int argc, char **argv)
{
	uint64_t one = 1;

	if (argc > 1 && strcmp(argv[1], "--exec") == 0)
		return selectors() ? 56 : 55;
	syscall3(SYS_sched_setaffinity, 0, sizeof(one), &one);	/* all on one CPU */
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
