/*
 * storm [-t TASKS] [-n CHECKS] [-s SEED] [-p 1] - do a task's registers stay its own?
 *
 * Threads and processes keep a pattern of their own in every register there is, do random work and
 * look, until CHECKS registers have been compared. Every second task is the partner of the one
 * before: it does nothing but answer. The last line is the count; the status is 1 if any register
 * differed or a task ended otherwise than it should. The same seed gives the same work and
 * patterns, though not the same interleaving. With -p 1 CPUs are taken away and come back all the while, for which
 * the kernel must have been booted with `debug`.
 */
#include <storm.h>

enum { MAX_TASKS = STORM_TASKS, DEFAULT_TASKS = 12, DEFAULT_CHECKS = 100000, STACK_SIZE = 4 * PAGE_SIZE };

#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |	\
			 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID)

/* Where the two tasks of a pair live: what they share with the first thread, or with each other. */
enum place { ALL_ONE_PROCESS, PROCESS_OF_TWO, TWO_PROCESSES, PLACES };

static struct storm_task tasks[MAX_TASKS];	/* each process uses its own in its own copy */
static int pids[MAX_TASKS];			/* of those that are processes */
static uint32_t ntasks = DEFAULT_TASKS;
static uint64_t seed = 1, hotplug;
static int plugger;				/* the process that does it */
struct storm_shared *storm_shared;
static struct storm_pair *pairs;		/* shared, behind *storm_shared */

static _Noreturn void fail(const char *what, long error)
{
	dprintf(2, "storm: %s: %s\n", what, error_text(error));
	exit(2);
}

static void *map(size_t size, int flags)
{
	long address = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (address < 0)
		fail("memory", address);
	return (void *)address;
}

static int have_enough(void)
{
	return storm_shared->checks >= storm_shared->wanted;
}

static int work(void *argument)
{
	struct storm_task *t = argument;

	while (!t->pair->partner)
		sched_yield();
	if (t->pair->talk != TALK_IPC)		/* a call that was cut short would be made twice */
		storm_take_signals();
	while (!have_enough()) {
		if (storm_random(t) % 4)
			storm_work(t);
		else
			storm_ask(t);
	}
	t->pair->last = t->turn + 1;
	storm_ask(t);
	return 0;
}

static int serve(void *argument)
{
	struct storm_task *t = argument;

	t->pair->partner = (uint32_t)gettid();
	if (t->pair->talk != TALK_IPC)
		storm_take_signals();
	do
		storm_answer(t);
	while (t->turn != t->pair->last);
	return 0;
}

static void start_thread(struct storm_task *t)
{
	char *stack = map(STACK_SIZE, MAP_PRIVATE);
	long tid;

	t->tid = 1;
	tid = clone_thread(THREAD_FLAGS, stack + STACK_SIZE, NULL, &t->tid, t,
			   t->number % 2 ? serve : work, t);
	if (tid < 0)
		fail("clone", tid);
}

static void join(struct storm_task *t)
{
	volatile int *tid = &t->tid;
	int value;

	while ((value = *tid) != 0)
		futex((void *)tid, FUTEX_WAIT, (uint32_t)value, NULL);
}

/* A process whose first thread is the task; with a partner beside it, if that is given. */
static void start_process(struct storm_task *t, struct storm_task *partner)
{
	long pid = fork();

	if (pid < 0)
		fail("fork", pid);
	pids[t->number] = (int)pid;
	if (pid)
		return;
	syscall2(SYS_arch_prctl, ARCH_SET_FS, t);
	if (partner)
		start_thread(partner);
	if (t->number % 2)
		serve(t);
	else
		work(t);
	if (partner)
		join(partner);
	exit(0);
}

static void start_pair(uint32_t n)
{
	struct storm_task *worker = &tasks[2 * n], *partner = worker + 1;

	switch ((n + n / TALKS) % PLACES) {
	case ALL_ONE_PROCESS:
		start_thread(worker);
		start_thread(partner);
		break;
	case PROCESS_OF_TWO:
		start_process(worker, partner);
		break;
	default:
		start_process(worker, NULL);
		start_process(partner, NULL);
	}
}

static void prepare(uint32_t n, int talks)
{
	struct storm_task *t = &tasks[n];

	t->self = t;
	t->number = n;
	t->features = storm_features();
	t->random = (seed + n + 1) * 0x9e3779b97f4a7c15 | 1;
	t->pair = &pairs[n / 2];
	if (n % 2)
		return;
	t->pair->talk = n / 2 % (uint32_t)talks;
	if (t->pair->talk == TALK_PIPE && (pipe(t->pair->there) < 0 || pipe(t->pair->back) < 0))
		fail("pipe", -EMFILE);
}

/* Nobody may wait for a task that has failed: all processes end with it. */
static void collect(uint32_t n)
{
	int status;

	if (!pids[n] || wait4(pids[n], &status, WNOHANG) != pids[n])
		return;
	pids[n] = 0;
	if (status == 0)
		return;
	printf("storm: task %u ended with status 0x%x\n", n, (unsigned int)status);
	for (n = 0; n < ntasks; n++)
		if (pids[n])
			kill(pids[n], SIGKILL);
	if (plugger)
		kill(plugger, SIGKILL);
	exit(1);
}

static int running(void)
{
	int count = 0;

	for (uint32_t n = 0; n < ntasks; n++) {
		collect(n);
		count += pids[n] || *(volatile int *)&tasks[n].tid;
	}
	return count;
}

static void start_all(void)
{
	struct tarry_stats s;
	int talks = stats(&s, sizeof(s)) < 0 ? TALK_IPC : TALKS;	/* only Tarry has IPC */

	storm_shared = map(sizeof(*storm_shared) + MAX_TASKS / 2 * sizeof(*pairs), MAP_SHARED);
	pairs = (struct storm_pair *)(storm_shared + 1);
	syscall3(SYS_sched_getaffinity, 0, sizeof(storm_shared->cpus), &storm_shared->cpus);
	for (uint32_t n = 0; n < ntasks; n++)
		prepare(n, talks);
	storm_describe(tasks[0].features);
	storm_hear_signals();
}

/* Any CPU but the first, for some milliseconds. */
static _Noreturn void take_cpus_away(void)
{
	struct storm_task t = { .random = seed * 0x9e3779b97f4a7c15 | 1 };
	uint64_t n, cpus = 64 - (uint64_t)__builtin_clzl(storm_shared->cpus);
	long result = 0;

	while (!have_enough() && result == 0) {
		n = 1 + storm_random(&t) % (cpus - 1);
		result = debug(TARRY_DEBUG_CPU_OFFLINE, n);
		sleep_ms(storm_random(&t) % 8);
		if (result == 0)
			result = debug(TARRY_DEBUG_CPU_ONLINE, n);
		sleep_ms(storm_random(&t) % 8);
		storm_shared->plugged++;
	}
	if (result < 0)
		fail("hotplug", result);
	exit(0);
}

static void start_hotplug(void)
{
	long pid = storm_shared->cpus > 1 ? fork() : -ENODEV;

	if (pid < 0)
		fail("hotplug", pid);
	if (pid == 0)
		take_cpus_away();
	plugger = (int)pid;
}

static void end_hotplug(void)
{
	int status = wait_status(plugger);

	printf("storm: CPUs have gone and come back %lu times\n", storm_shared->plugged);
	if (status != 0)
		exit(1);
}

static _Noreturn void usage(void)
{
	dprintf(2, "usage: storm [-t TASKS] [-n CHECKS] [-s SEED] [-p 1]: TASKS even, at most %d\n", MAX_TASKS);
	exit(2);
}

static uint64_t options(int argc, char **argv)
{
	uint64_t checks = DEFAULT_CHECKS, value;

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc || parse_number(argv[i + 1], &value) < 0)
			usage();
		if (strcmp(argv[i], "-t") == 0 && value >= 2 && value <= MAX_TASKS && value % 2 == 0)
			ntasks = (uint32_t)value;
		else if (strcmp(argv[i], "-n") == 0)
			checks = value;
		else if (strcmp(argv[i], "-s") == 0)
			seed = value;
		else if (strcmp(argv[i], "-p") == 0)
			hotplug = value;
		else
			usage();
	}
	return checks;
}

int main(int argc, char **argv)
{
	uint64_t wanted = options(argc, argv);

	start_all();
	storm_shared->wanted = wanted;
	for (uint32_t n = 0; n < ntasks / 2; n++)
		start_pair(n);
	if (hotplug)
		start_hotplug();
	while (running())
		sleep_ms(5);
	if (hotplug)
		end_hotplug();
	printf("storm: %lu signals have been handled\n", storm_shared->signals);
	printf("storm: %lu checks, %lu mismatches, %u tasks\n", storm_shared->checks,
	       storm_shared->mismatches, ntasks);
	return storm_shared->mismatches != 0;
}
