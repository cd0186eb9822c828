/*
 * buffers - where large fpstates lie (fpbuf=), by what they hold and by what moving them counts. Catches: a CPU's own
 * area or address that still shows another task's or an older value; pages that are given away while some CPU knows
 * them; a buffer that is lost when a task ends or memory is out; a shootdown where the strategy promises none, and one
 * that was not sent.
 */
#include "threads.h"
#include "tiles.h"

enum { TASKS = 100, TURNS = 10, WAVES = 3, WAVE = 40, KEPT = 16, STARVED = 32, ROUNDS = 300, SHOWN = 3 };
enum { SMALL_MACHINE = 20000 /* pages */, BUFFER_PAGES = 3 };

static struct tarry_stats now(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static int strategy_is(const char *name)
{
	return !strcmp(now().fpbuf, name);
}

/* Until everybody who has ended has given its buffer back, and all messages have arrived. */
static struct tarry_stats settle(void)
{
	struct tarry_stats s = now();

	for (int i = 0; i < ROUNDS && (s.buffers || s.shootdowns_sent != s.shootdowns_taken); i++) {
		sleep_ms(5);
		s = now();
	}
	EXPECT_EQ(s.buffers, 0);
	EXPECT_EQ(s.shootdowns_sent, s.shootdowns_taken);
	return s;
}

static void go_to(uint64_t cpu)
{
	uint64_t mask = 1ul << cpu % now().cpus;

	syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
}

static void expect_children(int n)
{
	int status;

	for (int i = 0; i < n; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

/* --- What they hold --- */

/* A check of 8 KiB takes long enough to be preempted in. */
static void hold_tiles(uint32_t i)
{
	load_tiles(i + 1);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		if (turn % 4 == 0)
			go_to(turn / 4 + i);
		else
			syscall0(SYS_sched_yield);
		if (!tiles_are_pattern())
			exit(1);
	}
	exit(0);
}

static void many_tasks(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	for (uint32_t i = 0; i < TASKS; i++)
		if (fork() == 0)
			hold_tiles(i);
	expect_children(TASKS);
}

/* Threads: nothing makes a CPU forget kernel mappings between one of them and the next. Tiles on each page. */
static tile_bytes mine[THREADS][SHOWN], found[THREADS][SHOWN];
static int wrong[THREADS];

static int hold_some(void *number)
{
	long i = (long)number;

	for (uint32_t turn = 0; turn < 10 * TURNS; turn++) {
		if (turn % 8 == 0) { /* others' values must not come back, nor old ones of ours */
			memset(mine[i], (int)(turn + 30 * (uint32_t)i + 1), sizeof(mine[i]));
			ldtilecfg(&whole);
			TILELOAD(0, mine[i][0], COLSB);
			TILELOAD(4, mine[i][1], COLSB);
			TILELOAD(7, mine[i][2], COLSB);
		}
		if (turn % 16 == 15)
			go_to(turn / 16 + (uint32_t)i);
		else
			syscall0(SYS_sched_yield);
		TILESTORE(0, found[i][0], COLSB);
		TILESTORE(4, found[i][1], COLSB);
		TILESTORE(7, found[i][2], COLSB);
		wrong[i] += memcmp(found[i], mine[i], sizeof(mine[i])) != 0;
	}
	return 0;
}

static void many_threads(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	stay_on_cpus(ONE_CPU);
	for (long i = 0; i < THREADS; i++)
		EXPECT(thread_start(&threads[i], hold_some, (void *)i, CLONE_SETTLS) > 0);
	for (int i = 0; i < THREADS; i++) {
		thread_join(&threads[i]);
		EXPECT_EQ(wrong[i], 0);
	}
}

/* From CPU to CPU, with other tiles each time: what a CPU has seen of a task before is old. */
static void come_back(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	load_tiles(1);
	for (uint32_t turn = 0; turn < 3 * TURNS; turn++) {
		go_to(turn);
		EXPECT(tiles_are_pattern());
		load_tiles(turn + 2);
		sleep_ms(1);
		EXPECT(tiles_are_pattern());
	}
}

/* --- Ends --- */

/* Each ends with a buffer, every third without having been asked, one in exec. */
static void end_with_tiles(uint32_t i)
{
	char *argv[] = { "buffers", "--end", NULL };

	load_tiles(i);
	if (!tiles_are_pattern())
		exit(1);
	if (i % 3 == 1)
		kill((int)getpid(), SIGKILL);
	if (i % 3 == 2)
		execve((const char *)getauxval(AT_EXECFN), argv, environ);
	exit(0);
}

static void end_waves(void)
{
	int status;

	EXPECT_EQ(ask_for_tiles(), 0);
	for (uint32_t wave = 0; wave < WAVES; wave++) {
		for (uint32_t i = 0; i < WAVE; i++)
			if (fork() == 0)
				end_with_tiles(i);
		for (uint32_t i = 0; i < WAVE; i++) {
			wait4(-1, &status, 0);
			EXPECT(status == 0 || status == SIGKILL);
		}
	}
}

/* Every end of a vmalloc buffer is a shootdown; a cache keeps some; the other two need none. */
static void test_ends(void)
{
	struct tarry_stats before = settle(), after;
	uint64_t shootdowns;

	IN_CHILD(end_waves);
	after = settle();
	shootdowns = after.shootdowns - before.shootdowns;
	if (strategy_is("vmalloc") && after.cpus > 1)
		EXPECT(shootdowns >= WAVES * WAVE);
	else if (strategy_is("cache"))
		EXPECT(shootdowns <= WAVES * WAVE - KEPT);
	else
		EXPECT_EQ(shootdowns, 0);
	if (strategy_is("cache"))
		EXPECT(after.buffer_bytes <= KEPT * BUFFER_PAGES * PAGE_SIZE);
	else
		EXPECT(after.buffer_bytes <= after.cpus * BUFFER_PAGES * PAGE_SIZE);
}

static void one_after_the_other(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	for (uint32_t i = 0; i < KEPT; i++) {
		if (fork() == 0)
			end_with_tiles(0);
		expect_children(1);
	}
}

/* While the cache has room nobody is told anything. A buffer of an earlier test may take the room: then once more. */
static void test_cache(void)
{
	struct tarry_stats before, after;
	int tries = 0;

	if (!strategy_is("cache"))
		SKIP("another strategy");
	do {
		before = settle();
		IN_CHILD(one_after_the_other);
		after = settle();
	} while (after.invlpgs != before.invlpgs && ++tries < 10);
	EXPECT_EQ(after.invlpgs, before.invlpgs);
	EXPECT_EQ(after.shootdowns, before.shootdowns);
}

/* --- What a move counts --- */

static void count_moves(void)
{
	struct tarry_stats a, b;
	uint64_t moves;
	int round = 0;

	EXPECT_EQ(ask_for_tiles(), 0);
	stay_on_cpus(ONE_CPU);
	load_tiles(1);
	do { /* a round in which nobody else has moved anything */
		a = now();
		debug(TARRY_DEBUG_SECTION, TARRY_SECTION_SAVE);
		b = now();
	} while ((b.context_switches != a.context_switches || b.ticks != a.ticks) && ++round < ROUNDS);
	EXPECT(round < ROUNDS);
	moves = b.fpu_saves - a.fpu_saves + b.fpu_loads - a.fpu_loads;
	EXPECT(moves >= 2);
	EXPECT_EQ(b.shootdowns - a.shootdowns, 0);
	EXPECT_EQ(b.invlpgs - a.invlpgs, strategy_is("map") ? moves * BUFFER_PAGES : 0);
	if (strategy_is("copy"))
		EXPECT(b.buffer_bytes_copied - a.buffer_bytes_copied > moves * sizeof(pattern) &&
		       b.buffer_bytes_copied - a.buffer_bytes_copied < moves * BUFFER_PAGES * PAGE_SIZE);
	else
		EXPECT_EQ(b.buffer_bytes_copied - a.buffer_bytes_copied, 0);
}

/* --- Out of memory --- */

static uint64_t which;

/* The which-th allocation from here on fails: the buffer as a whole, or one of its pages. */
static void fail_first_use(void)
{
	long result = TARRY_SYS_DEBUG;

	set_handler(SIGSEGV, note, 0, 0);
	EXPECT_EQ(ask_for_tiles(), 0);
	ldtilecfg(&whole);
	reset();
	__asm__ volatile("syscall\n\ttilezero %%tmm0" : "+a"(result)
			 : "D"((long)TARRY_DEBUG_FAIL_ALLOC), "S"(which) : "rcx", "r11", "memory");
	debug(TARRY_DEBUG_FAIL_ALLOC, 0);
	EXPECT(calls <= 1 && (calls || which > 1));
	load_tiles(6);
	EXPECT(tiles_are_pattern());
}

static void test_injected(void)
{
	if (!debug_allowed())
		SKIP("needs the debug call");
	for (which = 1; which <= BUFFER_PAGES + 2; which++)
		IN_CHILD(fail_first_use);
	settle();
}

static volatile struct gate {
	uint32_t ready, eaten, fed, open;
} *gate;

/* It has all it needs but the buffer, and keeps that until everybody has tried: else the next one would get it. */
static void wait_and_starve(uint32_t i)
{
	make_tiles(i);
	memset(stored, 1, sizeof(stored));
	ldtilecfg(&whole);
	__atomic_fetch_add(&gate->ready, 1, __ATOMIC_SEQ_CST);
	while (!gate->eaten)
		sleep_ms(1);
	load_tiles(i);
	__atomic_fetch_add(&gate->fed, 1, __ATOMIC_SEQ_CST);
	while (!gate->open)
		sleep_ms(1);
	exit(tiles_are_pattern() ? 0 : 1);
}

/* One page after the other, by a call that fails where a store would kill. */
static uint8_t *eat_memory(size_t size)
{
	uint8_t *food = (uint8_t *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t at = 0; at < size; at += PAGE_SIZE)
		if (stats((struct tarry_stats *)(food + at), 1) < 0)
			break;
	return food;
}

static void all_starve(void)
{
	size_t size = now().total_pages * PAGE_SIZE;
	int status;
	uint32_t dead = 0;
	uint8_t *food;

	gate = (volatile struct gate *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(ask_for_tiles(), 0);
	load_tiles(77);
	for (uint32_t i = 0; i < STARVED; i++)
		if (fork() == 0)
			wait_and_starve(i + 1);
	while (gate->ready != STARVED)
		sleep_ms(1);
	food = eat_memory(size);
	gate->eaten = 1;
	while (gate->fed + dead < STARVED) {
		if (wait4(-1, &status, WNOHANG) <= 0) {
			sleep_ms(1);
			continue;
		}
		EXPECT_EQ(status, SIGSEGV);
		dead++;
	}
	munmap(food, size);
	gate->open = 1;
	EXPECT(dead >= 1);
	expect_children((int)(STARVED - dead));
	make_tiles(77);
	EXPECT(tiles_are_pattern());
}

static void test_starved(void)
{
	if (now().total_pages > SMALL_MACHINE)
		SKIP("takes a machine with less memory");
	IN_CHILD(all_starve);
	settle();
}

static void test_tasks(void) { IN_CHILD(many_tasks); }
static void test_come_back(void) { IN_CHILD(come_back); }
static void test_threads(void) { IN_CHILD(many_threads); }

static void test_moves(void)
{
	if (!debug_allowed())
		SKIP("needs the debug call");
	IN_CHILD(count_moves);
}

static const struct ktap_test tests[] = {
	{ "100 tasks", test_tasks },
	{ "threads", test_threads },
	{ "other tiles on each CPU", test_come_back },
	{ "ends", test_ends },
	{ "the cache's room", test_cache },
	{ "what a move counts", test_moves },
	{ "no memory, at each allocation", test_injected },
	{ "no memory at all", test_starved },
};

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) /* the program that a task with tiles starts */
		return 0;
	return ktap_run(tests, ARRAY_SIZE(tests));
}
