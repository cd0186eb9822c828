/*
 * The search: breadth first over everything that can happen, so that the first story of a failure is a shortest
 * one. A state is what distinguishes futures: values are renamed in the order in which they are met, counters and
 * ids are left out. To go on from a state it is put back whole, the coroutines' stacks included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fpu/cpu.h"
#include "fpu/setup.h"
#include "tests/explore/story.h"
#include "tests/explore/world.h"

#define MAX_STATES (1u << 22)
#define TABLE_SIZE (MAX_STATES * 2)
#define MAX_STACKS (1u << 16)

/* Everything that changes, but for the stacks' contents, which many states share. */
struct saved_task {
	struct fpu_context *active;
	struct xsave_area *fpstate;
	void *sp;
	struct values logical;
	u32 trail, pkru, saved_pkru, flags, stack;
	s32 last_cpu;
	u8 life;
	bool exec, killed, doomed, bad;
};

struct saved {
	const void *owner;
	struct saved_task task[TASKS];
	struct image image[IMAGES];
	struct registers registers;
	u32 preempt_count, locked;
	s32 dead;
	u64 options;
	u8 current, place;
	bool interrupts, section, in_kernel;
};

struct stack {
	u64 hash;
	u32 size;
	u8 *bytes;
};

static struct saved *saved[MAX_STATES]; /* NULL once all that follows has been seen */
static struct origin origin[MAX_STATES];
static u64 table[TABLE_SIZE]; /* hashes; 0: free */
static struct stack stacks_seen[MAX_STACKS];
static u32 states;
static u64 edges;

/* Never 0. */
static u64 hash_bytes(const void *bytes, size_t size)
{
	u64 hash = size, word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		word = 0;
		memcpy(&word, (const u8 *)bytes + i, MIN(sizeof(word), size - i));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash * 0xbf58476d1ce4e5b9 | 1;
}

static u32 stack_save(u32 index, const void *sp)
{
	u32 size = (u32)(stacks[index] + STACK_SIZE - (const u8 *)sp);
	u64 hash = hash_bytes(sp, size);

	for (u32 i = (u32)(hash >> 32) % MAX_STACKS;; i = (i + 1) % MAX_STACKS) {
		struct stack *stack = &stacks_seen[i];

		if (!stack->bytes) {
			*stack = (struct stack){ .hash = hash, .size = size, .bytes = malloc(size) };
			memcpy(stack->bytes, sp, size);
			return i;
		}
		if (stack->hash == hash && stack->size == size && !memcmp(stack->bytes, sp, size))
			return i;
	}
}

static void save_task(struct saved_task *to, u32 index)
{
	const struct task *task = &world.task[index];

	*to = (struct saved_task){
		.active = task->fpu.active, .fpstate = task->fpu.user.fpstate, .sp = task->sp,
		.logical = task->logical, .trail = task->trail, .pkru = task->pkru,
		.saved_pkru = task->fpu.user.pkru, .flags = task->fpu.flags, .last_cpu = task->fpu.user.last_cpu,
		.life = task->life, .exec = task->exec, .killed = task->killed, .doomed = task->doomed,
		.bad = task->fpu.user.bad,
	};
	if (index >= USERS || task->life == LIFE_ALIVE)
		to->stack = stack_save(index, task->sp);
}

static struct saved *save(void)
{
	struct saved *s = calloc(1, sizeof(*s));

	for (u32 i = 0; i < TASKS; i++)
		save_task(&s->task[i], i);
	for (u32 i = 0; i < IMAGES; i++)
		s->image[i] = image_state(i);
	s->owner = explored_cpu.owner;
	s->locked = explored_cpu.locked;
	s->in_kernel = explored_cpu.in_kernel;
	s->registers = registers;
	s->preempt_count = world.preempt_count;
	s->dead = world.dead;
	s->options = world.options;
	s->current = world.current;
	s->place = world.place;
	s->interrupts = world.interrupts;
	s->section = world.section;
	return s;
}

static void restore_task(u32 index, const struct saved_task *from)
{
	struct task *task = &world.task[index];

	task->fpu.active = from->active;
	task->fpu.flags = from->flags;
	task->fpu.user.fpstate = from->fpstate;
	task->fpu.user.last_cpu = from->last_cpu;
	task->fpu.user.pkru = from->saved_pkru;
	task->sp = from->sp;
	task->logical = from->logical;
	task->trail = from->trail;
	task->pkru = from->pkru;
	task->life = from->life;
	task->exec = from->exec;
	task->killed = from->killed;
	task->doomed = from->doomed;
	task->fpu.user.bad = from->bad;
	if (index >= USERS || task->life == LIFE_ALIVE)
		memcpy(from->sp, stacks_seen[from->stack].bytes, stacks_seen[from->stack].size);
}

static void restore(const struct saved *s)
{
	for (u32 i = 0; i < TASKS; i++)
		restore_task(i, &s->task[i]);
	for (u32 i = 0; i < IMAGES; i++)
		image_set_state(i, &s->image[i]);
	explored_cpu.owner = s->owner;
	explored_cpu.locked = s->locked;
	explored_cpu.in_kernel = s->in_kernel;
	explored_cpu.ts = s->registers.ts;
	registers = s->registers;
	world.preempt_count = s->preempt_count;
	world.dead = s->dead;
	world.options = s->options;
	world.current = s->current;
	world.place = s->place;
	world.interrupts = s->interrupts;
	world.section = s->section;
}

/* A description of the present state under construction; values get new names as they come. */
struct key {
	u32 size;
	u8 name[256], names;
	u8 bytes[512];
};

static void put(struct key *key, const void *bytes, u32 size)
{
	memcpy(key->bytes + key->size, bytes, size);
	key->size += size;
}

static void put_values(struct key *key, const struct values *values)
{
	for (u32 c = 0; c < COMPONENTS; c++) {
		u8 value = values->of[c];

		if (value && value != GARBAGE && !key->name[value])
			key->name[value] = ++key->names;
		key->bytes[key->size++] = key->name[value] ? key->name[value] : value;
	}
}

static u8 owner_name(void)
{
	for (u8 i = 0; i < USERS; i++)
		if (explored_cpu.owner == &world.task[i].fpu.user)
			return 4 + i;
	return explored_cpu.owner == NULL ? 0 : explored_cpu.owner == fpu_kernel_owner ? 1 : 2;
}

static void put_fpstate(struct key *key, const struct xsave_area *area)
{
	struct image image;
	struct values values;

	key->bytes[key->size++] = area != NULL;
	if (!area)
		return;
	image = image_of(area);
	values = image_values(&image);
	key->bytes[key->size++] = (u8)(image.used | image.written << 1 | image.damaged << 2);
	put_values(key, &values);
}

static void put_task(struct key *key, const struct task *task, bool running)
{
	u8 bits = (u8)(task->exec | task->killed << 1 | task->doomed << 2 | (task->fpu.active != NULL) << 3 |
		       (task->fpu.user.last_cpu == FPU_NO_CPU) << 4 | (task->pkru == PKRU_DEFAULT) << 5 |
		       (!running && task->fpu.user.pkru == PKRU_DEFAULT) << 6 |
		       task->fpu.user.bad << 7);
	u8 flags = task->fpu.own_flags;

	put(key, &task->life, 1);
	put(key, &task->trail, sizeof(u32));
	if (task->life == LIFE_FREE)
		return;
	put(key, &bits, 1);
	put(key, &flags, 1);
	put_values(key, &task->logical);
	put_fpstate(key, task->fpu.user.fpstate);
}

/* The hash with the places of user tasks in another order. */
static u64 hash_in_order(const u8 order[USERS])
{
	struct key key = { 0 };
	u8 place_of[TASKS] = { [KTHREAD] = KTHREAD, [IDLE] = IDLE };
	u8 owner = owner_name();

	for (u8 i = 0; i < USERS; i++)
		place_of[order[i]] = i;
	if (owner >= 4)
		owner = 4 + place_of[owner - 4];
	put(&key, (u8[]){ place_of[world.current], world.place, owner, registers.ts, registers.pkru == PKRU_DEFAULT,
			  explored_cpu.in_kernel, explored_cpu.locked, (u8)world.preempt_count }, 8);
	for (u32 i = 0; i < USERS; i++)
		put_task(&key, &world.task[order[i]], order[i] == world.current);
	put(&key, &world.task[KTHREAD].trail, sizeof(u32));
	put(&key, &world.task[IDLE].trail, sizeof(u32));
	put_values(&key, &registers.values);
	return hash_bytes(key.bytes, key.size);
}

/* Places that are alike may be exchanged; the last one is not, if only it may have an integer-only task. */
static u64 state_hash(void)
{
	static const u8 orders[][USERS] = { { 0, 1, 2 }, { 1, 0, 2 }, { 0, 2, 1 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	u64 least = hash_in_order(orders[0]), hash;

	for (u32 i = 1; i < (world.config.intonly ? 2 : ARRAY_SIZE(orders)); i++) {
		hash = hash_in_order(orders[i]);
		least = MIN(least, hash);
	}
	return least;
}

/* True if the present state has not been seen before. */
static bool is_new(void)
{
	u64 hash = state_hash();

	for (u32 i = (u32)(hash >> 20) % TABLE_SIZE;; i = (i + 1) % TABLE_SIZE) {
		if (table[i] == hash)
			return false;
		if (!table[i]) {
			table[i] = hash;
			return true;
		}
	}
}

static void add_state(u32 from, enum event event)
{
	if (states == MAX_STATES) {
		printf("more than %u states\n", MAX_STATES);
		exit(2);
	}
	origin[states] = (struct origin){ from, (u8)event };
	saved[states++] = save();
}

static bool search(const struct config *config)
{
	for (u32 i = 0; i < states; i++) {
		for (u64 rest = saved[i]->options; rest; rest &= rest - 1) {
			enum event event = (enum event)__builtin_ctzl(rest);

			restore(saved[i]);
			edges++;
			if (!world_step(event)) {
				tell_story(config, origin, i, event);
				return false;
			}
			if (is_new())
				add_state(i, event);
		}
		free(saved[i]);
		saved[i] = NULL;
	}
	return true;
}

static void forget(void)
{
	for (u32 i = 0; i < states; i++)
		free(saved[i]);
	for (u32 i = 0; i < MAX_STACKS; i++)
		free(stacks_seen[i].bytes);
	memset(stacks_seen, 0, sizeof(stacks_seen));
	memset(table, 0, sizeof(table));
	states = 0;
	edges = 0;
}

static bool explore_pass(const struct config *config, const char *what)
{
	clock_t start = clock();
	bool good;
	u32 depth = 0;

	world_start(config);
	is_new();
	add_state(0, EVENT_CONTINUE);
	good = search(config);
	for (u32 i = states - 1; i; i = origin[i].from)
		depth++;
	printf("  with %s: %u states, %lu edges, longest way %u events, %.1f s\n", what, states, edges, depth,
	       (double)(clock() - start) / CLOCKS_PER_SEC);
	forget();
	return good;
}

/* Two passes, because keys and damaged images have nothing to do with each other but make the space large. */
static bool explore(struct config config)
{
	bool good;

	config.damage = true;
	good = explore_pass(&config, "values and damage");
	config.damage = false;
	config.pkru = true;
	good = good && explore_pass(&config, "protection keys");
	printf("%s %s\n", good ? "ok" : "FAIL", config_name(&config));
	fflush(stdout);
	return good;
}

/* The configurations of one policy whose names begin with the prefix; after all of them, what has been taken. */
static bool explore_policy(const char *policy, const char *prefix)
{
	static const char *const modes[] = { NULL, "init", "ts" };
	bool good = true;
	u32 explored = 0;

	memset(taken, 0, sizeof(taken));
	for (u32 i = 0; i < 2 * ARRAY_SIZE(modes); i++) {
		struct config config = { .policy = policy, .intonly = modes[i / 2], .ungated = i % 2 };

		if (strncmp(config_name(&config), prefix, strlen(prefix)))
			continue;
		good = explore(config) && good;
		explored++;
	}
	if (explored == 2 * ARRAY_SIZE(modes))
		good = tell_coverage(policy) && good;
	return good;
}

/* All configurations, or those whose name begins with the argument. */
int main(int argc, char **argv)
{
	static const char *const policies[] = { "deferred", "eager", "lazy" };
	bool good = true;

	for (u32 i = 0; i < ARRAY_SIZE(policies); i++)
		good = explore_policy(policies[i], argc > 1 ? argv[1] : "") && good;
	return !good;
}
