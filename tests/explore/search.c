/*
 * Breadth first over everything that can happen, so that the first story of a failure is a shortest one. To go on
 * from a state it is put back whole. See search.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/explore/intern.h"
#include "tests/explore/key.h"
#include "tests/explore/search.h"
#include "tests/explore/state.h"
#include "tests/explore/story.h"

#define FIRST_ROOM 65536

/* How a state was first reached, and what it is. */
struct found {
	struct state state;
	u32 from;
	u8 cpu, event;
};

static struct found *found;
static u32 states, room;
static struct intern seen;
static u64 edges;

static bool is_new(void)
{
	struct key key = key_of_world();
	u32 before = seen.count;

	return intern(&seen, &key, sizeof(key)) > before;
}

static void add_state(u32 from, u8 cpu, enum event event)
{
	if (states == room) {
		room = room ? 2 * room : FIRST_ROOM;
		found = realloc(found, room * sizeof(*found));
		if (!found) {
			printf("out of memory after %u states\n", states);
			exit(2);
		}
	}
	found[states++] = (struct found){ state_save(), from, cpu, (u8)event };
}

/* The way to a state, and one step more. */
static void tell_way(const struct config *config, u32 state, u8 cpu, enum event event)
{
	struct story story = { 0 };

	for (u32 i = state; i; i = found[i].from)
		story.steps++;
	story.step = calloc(++story.steps, sizeof(*story.step));
	story.step[story.steps - 1] = (struct step){ cpu, (u8)event };
	for (u32 i = state, at = story.steps - 1; i; i = found[i].from)
		story.step[--at] = (struct step){ found[i].cpu, found[i].event };
	tell_story(config, &story);
	free(story.step);
}

/* What may be gone on with: all CPUs' options, or those of one alone that has to do with no other. */
static void options_of_all(const struct config *config, u64 options[CPUS_MAX])
{
	for (u8 cpu = 0; cpu < config->cpus; cpu++)
		options[cpu] = world_options(cpu);
	for (u8 cpu = 0; cpu < config->cpus && !config->every_point; cpu++)
		if (world_local(cpu)) {
			for (u8 other = 0; other < config->cpus; other++)
				options[other] = other == cpu ? options[cpu] : 0;
			return;
		}
}

static bool go_on(const struct config *config, u32 state, u8 cpu, enum event event)
{
	edges++;
	if (!world_step(cpu, event)) {
		tell_way(config, state, cpu, event);
		return false;
	}
	if (config->scrub)
		world_scrub();
	if (is_new())
		add_state(state, cpu, event);
	return true;
}

static bool expand(const struct config *config, u32 state)
{
	u64 options[CPUS_MAX];
	bool put_back = true;

	state_restore(&found[state].state);
	options_of_all(config, options);
	for (u8 cpu = 0; cpu < config->cpus; cpu++)
		for (u64 rest = options[cpu]; rest; rest &= rest - 1) {
			if (!put_back)
				state_restore(&found[state].state);
			put_back = false;
			if (!go_on(config, state, cpu, (enum event)__builtin_ctzl(rest)))
				return false;
		}
	return true;
}

/* Stops early when time is up; left is the number of states not gone on from then. */
static bool expand_all(const struct config *config, clock_t start, u32 *left)
{
	for (u32 i = 0; i < states; i++) {
		if (config->seconds && clock() - start > config->seconds * CLOCKS_PER_SEC) {
			*left = states - i;
			return true;
		}
		if (!expand(config, i))
			return false;
	}
	return true;
}

static void forget(void)
{
	free(found);
	found = NULL;
	states = room = 0;
	edges = 0;
	intern_forget(&seen);
	key_forget();
	state_forget();
}

bool search(const struct config *config, const char *what)
{
	clock_t start = clock();
	bool good;
	u32 depth = 0, left = 0;

	world_start(config);
	is_new();
	add_state(0, 0, EVENT_CONTINUE);
	good = expand_all(config, start, &left);
	for (u32 i = states - 1; i; i = found[i].from)
		depth++;
	printf("  with %s: %u states, %lu edges, longest way %u events, %.1f s\n", what, states, edges, depth,
	       (double)(clock() - start) / CLOCKS_PER_SEC);
	if (left)
		printf("  not whole: stopped after %u s, with %u states not gone on from\n", config->seconds, left);
	fflush(stdout);
	forget();
	return good;
}
