/*
 * storm_work.c - what the storm's tasks do between loading their registers and looking: system
 * calls in all the ways that lose the CPU, use the kernel's FPU sections, or make and end tasks.
 *
 * A round's work is planned before the registers are loaded. A call that makes a task is the last
 * of its round: parent and child both go on from there, and both look.
 */
#include <storm.h>

#define STACK_SIZE	(4 * PAGE_SIZE)
#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |	\
			 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID)
#define GPR_BIT(gpr)	(1U << (gpr))
#define CALL_GPRS	(GPR_BIT(GPR_RAX) | GPR_BIT(GPR_RCX) | GPR_BIT(GPR_R11))
#define MESSAGE_GPRS	(GPR_BIT(GPR_RSI) | GPR_BIT(GPR_RDX) | GPR_BIT(GPR_R10) | GPR_BIT(GPR_R8) | \
			 GPR_BIT(GPR_R9))
#define ALL_GPRS	((1U << GPRS) - 1)
#define SAVED_BY_ROUND	6		/* registers that storm_round takes from the stack */
#define CHILD_ROUNDS	4

static void plan_yield(struct storm_task *t, struct storm_call *c)
{
	(void)t;
	c->nr = SYS_sched_yield;
}

static void plan_getpid(struct storm_task *t, struct storm_call *c)
{
	(void)t;
	c->nr = SYS_getpid;
}

static void plan_sleep(struct storm_task *t, struct storm_call *c)
{
	t->time = (struct timespec){ 0, (int64_t)(storm_random(t) % 100000) };
	c->nr = SYS_nanosleep;
	c->argument[0] = (uint64_t)&t->time;
}

static void plan_getrandom(struct storm_task *t, struct storm_call *c)
{
	c->nr = SYS_getrandom;
	c->argument[0] = (uint64_t)t->buffer;
	c->argument[1] = storm_random(t) % STORM_BUFFER;
}

/* One to three packets, by the kernel's thread or in sections of our own context. */
static void plan_crypt(struct storm_task *t, struct storm_call *c)
{
	t->crypt.input = (uint64_t)t->buffer;
	t->crypt.size = (uint32_t)(storm_random(t) % STORM_BUFFER);
	t->crypt.packets = (uint32_t)(storm_random(t) % 3) + 1;
	t->crypt.flags = storm_random(t) % 2 ? TARRY_CRYPT_WORKER : 0;
	c->nr = TARRY_SYS_CRYPT;
	c->argument[0] = (uint64_t)&t->crypt;
}

/* Mostly a moment; sometimes long enough that the time slice ends. */
static void plan_spin(struct storm_task *t, struct storm_call *c)
{
	c->nr = STORM_SPIN;
	c->argument[0] = storm_random(t) % (storm_random(t) % 64 ? 2000 : 300000) + 1;
}

/* Any set of CPUs, often a single one. */
static void plan_migrate(struct storm_task *t, struct storm_call *c)
{
	uint64_t cpus = storm_shared->cpus;

	t->mask = storm_random(t) & cpus;
	if (!t->mask || storm_random(t) % 2)
		do
			t->mask = 1UL << storm_random(t) % 64;
		while (!(t->mask & cpus));
	c->nr = SYS_sched_setaffinity;
	c->argument[1] = sizeof(t->mask);
	c->argument[2] = (uint64_t)&t->mask;
}

/* To any task, the caller too. Whoever gets it has ended, perhaps. */
static void plan_signal(struct storm_task *t, struct storm_call *c)
{
	uint32_t n = storm_shared->ntids;

	c->nr = n ? SYS_tkill : SYS_getpid;
	c->argument[0] = n ? storm_shared->tids[storm_random(t) % n] : 0;
	c->argument[1] = SIGUSR1;
}

static void plan_fork(struct storm_task *t, struct storm_call *c)
{
	(void)t;
	c->nr = SYS_fork;
}

static void thread_began(void);

/* The thread's struct is a copy of ours, as if it had planned the round and done it up to here. */
static void plan_thread(struct storm_task *t, struct storm_call *c)
{
	uint64_t *top = t->stack_end - 2 - SAVED_BY_ROUND;

	top[SAVED_BY_ROUND] = (uint64_t)thread_began;	/* to where storm_round returns */
	t->thread->tid = 1;
	c->nr = SYS_clone;
	c->argument[0] = THREAD_FLAGS;
	c->argument[1] = (uint64_t)top;
	c->argument[3] = (uint64_t)&t->thread->tid;
	c->argument[4] = (uint64_t)t->thread;
}

static const struct work {
	const char *name;
	void (*plan)(struct storm_task *t, struct storm_call *c);
	uint32_t weight;
	int makes_task;
} works[] = {
	{ "yield", plan_yield, 20, 0 }, { "getpid", plan_getpid, 10, 0 },
	{ "nanosleep", plan_sleep, 6, 0 }, { "getrandom", plan_getrandom, 10, 0 },
	{ "crypt", plan_crypt, 8, 0 }, { "spin", plan_spin, 16, 0 },
	{ "sched_setaffinity", plan_migrate, 12, 0 }, { "signal", plan_signal, 8, 0 }, { "fork", plan_fork, 1, 1 },
	{ "clone", plan_thread, 2, 1 },
};
#define WEIGHTS		93

static const struct work *choose(struct storm_task *t)
{
	const struct work *w;
	uint32_t at;

	do {
		at = (uint32_t)(storm_random(t) % WEIGHTS);
		for (w = works; at >= w->weight; w++)
			at -= w->weight;
	} while ((w->makes_task && t->transient) ||
		 (w->plan == plan_migrate && !storm_shared->cpus));
	return w;
}

/* What the general registers hold after the calls: the last one's arguments, mostly. */
static void predict(struct storm_task *t, uint32_t n)
{
	static const enum storm_gpr order[] = { GPR_RDI, GPR_RSI, GPR_RDX, GPR_R10, GPR_R8, GPR_R9 };

	t->known = ALL_GPRS & ~GPR_BIT(GPR_RCX);
	for (uint32_t i = 0; i < n; i++) {
		const struct storm_call *c = &t->calls[i];

		if (c->nr == STORM_SPIN)
			continue;
		t->known &= ~CALL_GPRS;
		if (c->word)
			t->known &= ~MESSAGE_GPRS & ~GPR_BIT(GPR_RDI);	/* perhaps never called */
		if (c->nr == STORM_STORE || c->word)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(order); k++)
			t->want.gpr[order[k]] = c->argument[k];
		t->known |= MESSAGE_GPRS | GPR_BIT(GPR_RDI);
		if (c->nr >= TARRY_SYS_IPC_CALL && c->nr <= TARRY_SYS_IPC_REPLY_WAIT)
			t->known &= ~MESSAGE_GPRS;
	}
}

void storm_forget(struct storm_task *t)
{
	memset(t->calls, 0, sizeof(t->calls));
	memset(t->work, 0, sizeof(t->work));
}

/* A child or thread that a round made: it looks, does a few rounds of its own and ends. */
static void live_shortly(struct storm_task *t)
{
	uint64_t rounds;

	t->transient = 1;
	storm_compare(t);
	t->random ^= 0x9e3779b97f4a7c15;	/* not what the parent will do */
	rounds = storm_random(t) % CHILD_ROUNDS;
	while (rounds-- > 0)
		storm_work(t);
}

static void thread_began(void)
{
	live_shortly(storm_self());
	exit_thread(0);
}

static void wait_for_thread(struct storm_task *thread)
{
	volatile int *tid = &thread->tid;
	int value;

	while ((value = *tid) != 0)
		futex((void *)tid, FUTEX_WAIT, (uint32_t)value, NULL);
}

static void make_room(struct storm_task *t)
{
	size_t size = (sizeof(*t) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	long room = mmap(NULL, size + STACK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room < 0) {
		dprintf(2, "storm: no memory\n");
		exit(2);
	}
	t->thread = (struct storm_task *)room;
	t->stack_end = (uint64_t *)(room + (long)(size + STACK_SIZE));
}

/* The thread starts where its maker's last call returns. */
static void prepare_thread(struct storm_task *t, uint32_t last)
{
	struct storm_task *thread = t->thread;
	int tid = thread->tid;

	memcpy(thread, t, sizeof(*t));
	thread->tid = tid;
	thread->self = thread;
	thread->next = &thread->calls[last];
	thread->left = 1;
	thread->thread = NULL;
}

void storm_do(struct storm_task *t, uint32_t n)
{
	t->round++;
	storm_pattern(t);
	predict(t, n);
	t->next = t->calls;
	t->left = n;
	if (t->calls[n - 1].nr == SYS_clone)
		prepare_thread(t, n - 1);
	storm_round();
}

static void finish_child(struct storm_task *t, const struct storm_call *last)
{
	if (last->result == 0) {
		live_shortly(t);
		exit(0);
	}
	storm_compare(t);
	if (last->result > 0)
		wait4((int)last->result, NULL, 0);
}

static void finish_thread(struct storm_task *t, const struct storm_call *last)
{
	storm_compare(t);
	if (last->result > 0)
		wait_for_thread(t->thread);
}

void storm_work(struct storm_task *t)
{
	uint32_t n = 0, wanted = (uint32_t)(storm_random(t) % STORM_CALLS) + 1;
	const struct work *w;
	struct storm_call *last;

	if (!t->thread && !t->transient)
		make_room(t);
	storm_forget(t);
	do {
		w = choose(t);
		w->plan(t, &t->calls[n]);
		t->work[n] = w->name;
		last = &t->calls[n++];
	} while (n < wanted && !w->makes_task);

	storm_do(t, n);
	if (w->plan == plan_fork)
		finish_child(t, last);
	else if (w->plan == plan_thread)
		finish_thread(t, last);
	else
		storm_compare(t);
}
