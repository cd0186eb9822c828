/*
 * tilebench - what large fpstates cost, for tools/buffers.py. Like bench.c's, the figures mean something where the time
 * stamp counter counts instructions, which then are those of all CPUs. All tasks are on one CPU, so that they take
 * turns. For 1, 10 and 100 tasks with tiles a line of numbers, those of a phase summed over all tasks:
 *
 *   tasks N
 *   first INSTRUCTIONS COPIED INVLPGS SHOOTDOWNS MESSAGES  of a task's first use, the median; and of all first uses
 *   move SAVE LOAD                                  instructions of one, without the model's
 *   turn COPIED INVLPGS                             a load and a save of each task; the least of some turns, for an
 *                                                   interrupt may use the registers, too
 *   exit INSTRUCTIONS COPIED INVLPGS SHOOTDOWNS MESSAGES   more than a task without tiles takes, the median
 *   held BYTES                                      with all of them alive
 *
 * tilebench MOST ends at so many tasks.
 */
#include <bench.h>
#include <lib.h>

enum { MOST = 100, TURNS = 20, TILEDATA = 18 };

static const struct config {
	uint8_t palette, start_row, reserved[14];
	uint16_t colsb[16];
	uint8_t rows[16];
} whole = {
	.palette = 1, .colsb = { 64, 64, 64, 64, 64, 64, 64, 64 }, .rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
};

enum order { SLEEP, TURN, MEASURE, END };

static volatile struct shared {
	uint32_t order[MOST]; /* futexes */
	uint32_t ready, first[MOST], save, load;
	struct counts { uint64_t copied, invlpgs, shootdowns, messages; } before, sum;
	uint64_t end;
} *shared;

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* What has been counted since shared->before is added up in shared->sum. */
static void count_from_here(void)
{
	struct tarry_stats s = counters();

	shared->before = (struct counts){ s.buffer_bytes_copied, s.invlpgs, s.shootdowns, s.shootdowns_sent };
}

static void count_to_here(void)
{
	struct tarry_stats s = counters();

	shared->sum.copied += s.buffer_bytes_copied - shared->before.copied;
	shared->sum.invlpgs += s.invlpgs - shared->before.invlpgs;
	shared->sum.shootdowns += s.shootdowns - shared->before.shootdowns;
	shared->sum.messages += s.shootdowns_sent - shared->before.messages;
}

static void print_phase(const char *name, long figure)
{
	printf("%s %ld %lu %lu %lu %lu\n", name, figure, shared->sum.copied, shared->sum.invlpgs, shared->sum.shootdowns,
	       shared->sum.messages);
	memset((void *)&shared->sum, 0, sizeof(shared->sum));
}

#define TILEZERO() __asm__ volatile("tilezero %tmm0")

static uint32_t time_of_move(long which)
{
	uint64_t ticks = (uint64_t)debug(TARRY_DEBUG_SECTION, which);

	return (uint32_t)(TARRY_SECTION_GROSS(ticks) - TARRY_SECTION_MODEL(ticks));
}

/* The second instruction takes what is not the first use. */
static void first_use(uint32_t number)
{
	uint64_t a, b, c;

	__asm__ volatile("ldtilecfg %0" : : "m"(whole));
	count_from_here();
	a = now();
	TILEZERO();
	b = now();
	TILEZERO();
	c = now();
	count_to_here();
	shared->first[number] = (uint32_t)(b - a - (c - b));
}

static void order(uint32_t number, enum order what)
{
	shared->order[number] = what;
	futex((void *)&shared->order[number], FUTEX_WAKE, 1, NULL);
}

static _Noreturn void run_task(uint32_t number, int tiles)
{
	if (tiles)
		first_use(number);
	shared->ready++;
	for (;;) {
		switch (shared->order[number]) {
		case SLEEP:
			futex((void *)&shared->order[number], FUTEX_WAIT, SLEEP, NULL);
			break;
		case TURN:
			bare_call(SYS_sched_yield);
			break;
		case MEASURE:
			shared->save = time_of_move(TARRY_SECTION_SAVE);
			shared->load = time_of_move(TARRY_SECTION_LOAD);
			shared->order[number] = SLEEP;
			break;
		case END:
			count_from_here();
			shared->end = now();
			exit(0);
		}
	}
}

static void start(uint32_t tasks, int tiles)
{
	memset((void *)shared, 0, sizeof(*shared));
	for (uint32_t i = 0; i < tasks; i++) {
		if (fork() == 0)
			run_task(i, tiles);
		while (shared->ready <= i)
			sleep_ms(1);
	}
}

/* One after the other. The median of what each took from its call to our return. */
static uint32_t end(uint32_t tasks)
{
	static uint32_t samples[MOST];

	for (uint32_t i = 0; i < tasks; i++) {
		order(i, END);
		wait4(-1, NULL, 0);
		samples[i] = (uint32_t)(now() - shared->end);
		count_to_here();
	}
	sort(samples, tasks);
	return samples[tasks / 2];
}

/* In each turn every task is loaded and saved once. */
static void take_turns(uint32_t tasks)
{
	uint64_t copied = ~0ul, invlpgs = ~0ul;

	for (uint32_t i = 0; i < tasks; i++)
		order(i, TURN);
	for (int i = 0; i < 3; i++) /* all have begun */
		bare_call(SYS_sched_yield);
	for (int i = 0; i < TURNS; i++) {
		memset((void *)&shared->sum, 0, sizeof(shared->sum));
		count_from_here();
		bare_call(SYS_sched_yield);
		count_to_here();
		copied = shared->sum.copied < copied ? shared->sum.copied : copied;
		invlpgs = shared->sum.invlpgs < invlpgs ? shared->sum.invlpgs : invlpgs;
	}
	for (uint32_t i = 0; i < tasks; i++)
		shared->order[i] = SLEEP;
	memset((void *)&shared->sum, 0, sizeof(shared->sum));
	printf("turn %lu %lu\n", copied, invlpgs);
	sleep_ms(10);
}

static void measure(uint32_t tasks)
{
	uint32_t plain;

	start(tasks, 0);
	plain = end(tasks);
	start(tasks, 1);
	sort((uint32_t *)shared->first, tasks);
	printf("tasks %u\n", tasks);
	print_phase("first", shared->first[tasks / 2]);
	order(0, MEASURE);
	while (shared->order[0] == MEASURE)
		sleep_ms(1);
	printf("move %u %u\n", shared->save, shared->load);
	take_turns(tasks);
	printf("held %lu\n", counters().buffer_bytes);
	plain = end(tasks) - plain;
	print_phase("exit", (int)plain);
}

int main(int argc, char **argv)
{
	uint64_t one_cpu = 1;
	uint32_t most = MOST;
	long address = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address < 0 || syscall2(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA) < 0) {
		dprintf(2, "tilebench: no memory, or no tiles\n");
		return 1;
	}
	shared = (volatile struct shared *)address;
	syscall3(SYS_sched_setaffinity, 0, sizeof(one_cpu), &one_cpu);
	if (argc > 1)
		most = (uint32_t)atoi(argv[1]);
	for (uint32_t tasks = 1; tasks <= most; tasks *= 10)
		measure(tasks);
	return 0;
}
