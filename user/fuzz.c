/*
 * fuzz [-s SEED] [-f FRAMES] [-r REGSETS] [-c CALLS] [-b FIRST] [-j PROCESSES] [-t TASKS] - hostile input, counted.
 *
 * FRAMES signal frames are thrown at rt_sigreturn, REGSETS sets of registers written to a process by its tracer, and
 * CALLS system calls made, good and bad, by PROCESSES processes at a time, while TASKS others keep the storm's
 * patterns in all their registers and look. Each case is made from the seed and its number alone: -b FIRST -f 1 -j 1
 * throws one again. At the end the kernel's memory must be what it was. A finding names its case and the first one
 * that its process threw. The last line counts; the status is 1 if there was a finding.
 */
#include <fuzz.h>
#include <storm.h>

enum { MAX_TASKS = 32, LOOK_MS = 4, PROGRESS_LINES = 32, WARM_UP = 100, STUCK_LOOKS = 30000, RETURN_LOOKS = 3000,
       STOPPED = 0x7f };

static const struct fuzz_kind kinds[] = {
	{ "frame", { "taken", "refused" }, fuzz_frames, 1000, 0 },
	{ "regset", { "taken", "refused" }, fuzz_regsets, 1000, 0 },
	{ "call", { "done", "refused" }, fuzz_calls, 30, 1 },
};
#define KINDS	ARRAY_SIZE(kinds)

uint64_t fuzz_seed = 1;
uint32_t fuzz_nrunners = 3;
struct fuzz_runner *fuzz_runners;
struct storm_shared *storm_shared;

static uint64_t cases[KINDS] = { 2000, 2000, 20000 }, first;
static uint64_t ntasks = 4;
static struct storm_task tasks[MAX_TASKS];
static int task_pids[MAX_TASKS];
static uint32_t findings;

static _Noreturn void fail(const char *what, long error)
{
	dprintf(2, "fuzz: %s: %s\n", what, error_text(error));
	exit(2);
}

static void *map_shared(size_t size)
{
	long address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address < 0)
		fail("memory", address);
	return (void *)address;
}

static int checked_fork(void)
{
	long pid = fork();

	if (pid < 0)
		fail("fork", pid);
	return (int)pid;
}

/* --- The tasks that keep patterns --- */

static _Noreturn void keep_patterns(struct storm_task *t)
{
	syscall2(SYS_arch_prctl, ARCH_SET_FS, t);
	while (storm_shared->checks < storm_shared->wanted)
		storm_work(t);
	exit(0);
}

static void start_tasks(void)
{
	storm_shared->wanted = ~0ul;
	for (uint32_t n = 0; n < ntasks; n++) {
		struct storm_task *t = &tasks[n];

		t->self = t;
		t->number = n;
		t->features = storm_features();
		t->random = (fuzz_seed + n + 1) * 0x9e3779b97f4a7c15 | 1;
		task_pids[n] = checked_fork();
		if (!task_pids[n])
			keep_patterns(t);
	}
}

static void end_tasks(void)
{
	storm_shared->wanted = 0;
	for (uint32_t n = 0; n < ntasks; n++) {
		int status = task_pids[n] ? wait_status(task_pids[n]) : 0;

		if (status != 0) {
			printf("fuzz: the task %u with patterns ended with status %d\n", n, status);
			findings++;
		}
	}
}

/* --- The processes that throw --- */

static void start(const struct fuzz_kind *kind, struct fuzz_runner *r)
{
	int pid;

	r->from = r->at;
	r->processes++;
	r->looks = 0;
	pid = checked_fork();
	if (!pid) {
		kind->run(r);
		exit(0);
	}
	r->pid = pid;
}

static void print_finding(const struct fuzz_kind *kind, const struct fuzz_runner *r, uint64_t at, const char *text)
{
	printf("fuzz: finding: seed %lu, %s %lu (its process began at %lu): %s\n", fuzz_seed, kind->name, at, r->from,
	       text);
	findings++;
}

static void collect_finding(const struct fuzz_kind *kind, struct fuzz_runner *r)
{
	if (!r->findings)
		return;
	print_finding(kind, r, r->found_at, r->finding);
	r->findings = 0;
}

/* A process has ended: in the case under way, unless it says so. */
static void ended(const struct fuzz_kind *kind, struct fuzz_runner *r, int status)
{
	char text[60];

	kill(-r->pid, SIGKILL);		/* children that it has stopped, if it has a group of its own */
	r->pid = 0;
	collect_finding(kind, r);
	if (status == 0 && r->at == r->end)
		return;
	if (status != FUZZ_AGAIN << 8) {
		snprintf(text, sizeof(text), "its process ended with status 0x%x", (unsigned int)status);
		if (!r->may_die && !kind->nudge && r->looks <= kind->patience)
			print_finding(kind, r, r->at, text);
		r->count[FUZZ_REFUSED]++;
		r->at++;
	}
	if (r->at < r->end)
		start(kind, r);
}

/* All that have ended; orphans come to the first program, which this one may be. One that made us its tracer can stop. */
static void reap(const struct fuzz_kind *kind)
{
	int status;
	long pid;

	while ((pid = wait4(-1, &status, WNOHANG)) > 0) {
		if ((status & 0xff) == STOPPED) {
			kill((int)pid, SIGKILL);
			continue;
		}
		for (uint32_t i = 0; i < fuzz_nrunners; i++)
			if (fuzz_runners[i].pid == pid)
				ended(kind, &fuzz_runners[i], status);
		for (uint32_t n = 0; n < ntasks; n++)
			if (task_pids[n] == pid) {
				printf("fuzz: the task %u with patterns ended with status 0x%x\n", n,
				       (unsigned int)status);
				task_pids[n] = 0;
				findings++;
			}
	}
}

/* One that stands still is woken, then killed; one that can't be killed is a finding. */
static void look_at(const struct fuzz_kind *kind, struct fuzz_runner *r)
{
	if (r->at != r->seen)
		r->looks = 0;
	r->seen = r->at;
	if (r->looks++ > kind->patience)
		kill(r->pid, SIGKILL);
	else if (r->looks > 1 && kind->nudge)
		kill(r->pid, SIGUSR1);
	if (r->looks == STUCK_LOOKS) {
		print_finding(kind, r, r->at, "does not end, though it was killed");
		exit(1);
	}
}

static int look(const struct fuzz_kind *kind)
{
	int running = 0;

	reap(kind);
	for (uint32_t i = 0; i < fuzz_nrunners; i++) {
		struct fuzz_runner *r = &fuzz_runners[i];

		if (!r->pid)
			continue;
		running = 1;
		look_at(kind, r);
	}
	return running;
}

/* For the case that the kernel says no more: how far it had come. */
static void print_progress(const struct fuzz_kind *kind, uint64_t n)
{
	static uint64_t printed;
	uint64_t done = 0;

	for (uint32_t i = 0; i < fuzz_nrunners; i++)
		done += n / fuzz_nrunners - (fuzz_runners[i].end - fuzz_runners[i].at);
	if (done < printed)
		printed = 0;
	if (done - printed < n / PROGRESS_LINES || n < 1000)
		return;
	printed = done;
	printf("fuzz: at %s", kind->name);
	for (uint32_t i = 0; i < fuzz_nrunners; i++)
		printf(" %lu", fuzz_runners[i].at);
	printf("\n");
}

static void print_counts(const struct fuzz_kind *kind, uint64_t n)
{
	uint64_t count[FUZZ_OUTCOMES] = { 0 }, processes = 0;

	for (uint32_t i = 0; i < fuzz_nrunners; i++) {
		for (int k = 0; k < FUZZ_OUTCOMES; k++)
			count[k] += fuzz_runners[i].count[k];
		processes += fuzz_runners[i].processes;
	}
	printf("fuzz: %lu %ss: %lu %s, %lu %s, by %lu processes\n", n, kind->name, count[0], kind->outcomes[0],
	       count[1], kind->outcomes[1], processes);
}

/* n cases, shared out among the processes in blocks. */
static void throw_all(const struct fuzz_kind *kind, uint64_t n, uint64_t from)
{
	memset(fuzz_runners, 0, FUZZ_RUNNERS * sizeof(*fuzz_runners));
	for (uint32_t i = 0; i < fuzz_nrunners; i++) {
		fuzz_runners[i].at = from + n * i / fuzz_nrunners;
		fuzz_runners[i].end = from + n * (i + 1) / fuzz_nrunners;
	}
	for (uint32_t i = 0; i < fuzz_nrunners; i++)
		if (fuzz_runners[i].at < fuzz_runners[i].end)
			start(kind, &fuzz_runners[i]);
	while (look(kind)) {
		for (uint32_t i = 0; i < fuzz_nrunners; i++)
			collect_finding(kind, &fuzz_runners[i]);
		print_progress(kind, n);
		sleep_ms(LOOK_MS);
	}
}

/* --- Memory --- */

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* Ended tasks give their memory back a moment later. */
static void check_memory(const struct tarry_stats *before)
{
	struct tarry_stats now = counters();

	for (int i = 0; i < RETURN_LOOKS; i++) {
		now = counters();
		if (now.free_pages + now.heap_pages >= before->free_pages + before->heap_pages &&
		    now.heap_objects <= before->heap_objects && now.tasks <= before->tasks) {
			printf("fuzz: all memory has come back\n");
			return;
		}
		sleep_ms(LOOK_MS);
		while (wait4(-1, NULL, WNOHANG) > 0)
			;
	}
	printf("fuzz: finding: of %lu pages, %lu objects, %lu tasks there are %lu, %lu, %lu\n",
	       before->free_pages + before->heap_pages, before->heap_objects, before->tasks,
	       now.free_pages + now.heap_pages, now.heap_objects, now.tasks);
	findings++;
}

static void all_kinds(const uint64_t counts[KINDS], uint64_t from, int quiet)
{
	start_tasks();
	for (size_t i = 0; i < KINDS; i++) {
		throw_all(&kinds[i], counts[i], from);
		if (!quiet && counts[i])
			print_counts(&kinds[i], counts[i]);
	}
	end_tasks();
}

/* What is touched only once is touched before the memory is counted: cases of another seed. */
static void warm_up(void)
{
	uint64_t counts[KINDS], seed = fuzz_seed;

	for (size_t i = 0; i < KINDS; i++)
		counts[i] = cases[i] ? WARM_UP : 0;
	fuzz_seed = ~seed;
	all_kinds(counts, 0, 1);
	fuzz_seed = seed;
}

/* --- Options --- */

static _Noreturn void usage(void)
{
	dprintf(2, "usage: fuzz [-s SEED] [-f FRAMES] [-r REGSETS] [-c CALLS] [-b FIRST] [-j PROCESSES] "
		   "[-t TASKS]\n");
	exit(2);
}

static void options(int argc, char **argv)
{
	uint64_t value;

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc || argv[i][0] != '-' || parse_number(argv[i + 1], &value) < 0)
			usage();
		switch (argv[i][1]) {
		case 's': fuzz_seed = value; break;
		case 'f': cases[0] = value; break;
		case 'r': cases[1] = value; break;
		case 'c': cases[2] = value; break;
		case 'b': first = value; break;
		case 'j': fuzz_nrunners = value && value <= FUZZ_RUNNERS ? (uint32_t)value : FUZZ_RUNNERS; break;
		case 't': ntasks = value <= MAX_TASKS ? value : MAX_TASKS; break;
		default: usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct tarry_stats before;

	options(argc, argv);
	fuzz_runners = map_shared(FUZZ_RUNNERS * sizeof(*fuzz_runners));
	storm_shared = map_shared(sizeof(*storm_shared));
	syscall3(SYS_sched_getaffinity, 0, sizeof(storm_shared->cpus), &storm_shared->cpus);
	fuzz_image_init();
	printf("fuzz: seed %lu\n", fuzz_seed);
	storm_describe(storm_features());
	warm_up();
	before = counters();
	all_kinds(cases, first, 0);
	check_memory(&before);
	printf("fuzz: %u findings, %lu checks of registers, %lu mismatches\n", findings, storm_shared->checks,
	       storm_shared->mismatches);
	return findings || storm_shared->mismatches;
}
