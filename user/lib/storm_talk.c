/*
 * storm_talk.c - how a worker of the storm and its partner hand each other the CPU: by a pipe, a
 * futex or an IPC call, in rounds like any other. Both keep their patterns meanwhile. Each
 * question must get its answer in the same round, or a wake-up was lost and the storm stands still.
 */
#include <storm.h>

static struct storm_call *plan(struct storm_task *t, uint32_t at, const char *name, long nr)
{
	t->calls[at].nr = nr;
	t->work[at] = name;
	return &t->calls[at];
}

static void plan_pipe(struct storm_task *t, uint32_t at, long nr, int fd)
{
	struct storm_call *c = plan(t, at, nr == SYS_read ? "read" : "write", nr);

	c->argument[0] = (uint64_t)fd;
	c->argument[1] = (uint64_t)t->buffer;
	c->argument[2] = 1;
}

/* Sets the word and wakes who waits for that. */
static void plan_set(struct storm_task *t, uint32_t at, volatile uint32_t *word)
{
	struct storm_call *c = plan(t, at, "store", STORM_STORE);

	c->word = word;
	c->value = t->turn;
	c = plan(t, at + 1, "futex wake", SYS_futex);
	c->argument[0] = (uint64_t)word;
	c->argument[1] = FUTEX_WAKE;
	c->argument[2] = 1;
}

static void plan_await(struct storm_task *t, uint32_t at, volatile uint32_t *word)
{
	struct storm_call *c = plan(t, at, "futex wait", SYS_futex);

	c->argument[0] = (uint64_t)word;
	c->argument[1] = FUTEX_WAIT;
	c->argument[2] = t->turn - 1;
	c->word = word;
	c->value = t->turn;
}

void storm_ask(struct storm_task *t)
{
	struct storm_pair *pair = t->pair;
	uint32_t n = 0;

	storm_forget(t);
	t->turn++;
	switch (pair->talk) {
	case TALK_PIPE:
		plan_pipe(t, n++, SYS_write, pair->there[1]);
		plan_pipe(t, n++, SYS_read, pair->back[0]);
		break;
	case TALK_FUTEX:
		plan_set(t, n, &pair->asked);
		plan_await(t, n + 2, &pair->answered);
		n += 3;
		break;
	default:
		plan(t, n++, "ipc_call", TARRY_SYS_IPC_CALL)->argument[0] = pair->partner;
	}
	storm_do(t, n);
	storm_compare(t);
}

void storm_answer(struct storm_task *t)
{
	struct storm_pair *pair = t->pair;
	struct storm_call *c = &t->calls[0];
	uint32_t n = 0;

	storm_forget(t);
	t->turn++;
	switch (pair->talk) {
	case TALK_PIPE:
		plan_pipe(t, n++, SYS_read, pair->there[0]);
		plan_pipe(t, n++, SYS_write, pair->back[1]);
		break;
	case TALK_FUTEX:
		plan_await(t, n, &pair->asked);
		plan_set(t, n + 1, &pair->answered);
		n += 3;
		break;
	default:
		c = plan(t, n++, "ipc_reply_wait", TARRY_SYS_IPC_REPLY_WAIT);
		c->argument[0] = (uint64_t)t->caller;
	}
	storm_do(t, n);
	storm_compare(t);
	t->caller = c->result;
}
