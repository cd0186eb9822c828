/*
 * What is searched apart, and how far. On two CPUs the space is large. Values that nobody may look at are overwritten
 * (scrub.c). A CPU whose next steps are its own affair goes on alone; what allows that, that it leaves alone what is
 * another's, is checked at each step (apart.c), and two contexts are searched once with the CPUs taking turns before
 * each single instruction. Three contexts are between calls; of two any may be preempted inside one. Of three, one or
 * all are in the long run of the default policy, which takes 6 GB; there a pass ends after five minutes, whole or not,
 * and says so. Signals and a debugger have passes of their own, without exec; so have tiles and guests. A guest takes
 * the place of a context.
 */
#include <stdio.h>
#include <string.h>

#include "tests/explore/passes.h"
#include "tests/explore/search.h"

#define LONGEST 300 /* seconds that a pass of the long run may take */

struct pass {
	const char *what;
	u8 users, suspended;
	bool guest, tiles, damage, pkru, power, every_point, signals, debugger, load, queue, long_run;
	enum { ANY, NOT_BOTH, PLAIN } only; /* not with both integer-only tasks and ungated components; neither */
};

/* The small ones first: a failure is told as soon as it is found. */
static const struct pass one_cpu[] = {
	{ "two contexts, the CPU down and back", 2, 0, .power = true },
	{ "protection keys", 3, 0, .pkru = true },
	{ "signals", 2, 0, .signals = true, .only = NOT_BOTH },
	{ "signals, one context preempted anywhere", 2, 1, .signals = true, .only = PLAIN },
	{ "signals at every point, in other configurations", 2, 1, .signals = true, .only = NOT_BOTH, .long_run = true },
	{ "signals, protection keys", 2, 1, .signals = true, .pkru = true, .only = PLAIN },
	{ "tiles", 2, 1, .tiles = true, .only = PLAIN },
	{ "tiles, the CPU down and back", 2, 0, .power = true, .tiles = true, .only = PLAIN },
	{ "tiles, signals", 2, 0, .signals = true, .tiles = true, .only = PLAIN, .long_run = true },
	{ "tiles, a debugger", 2, 0, .debugger = true, .tiles = true, .only = PLAIN },
	{ "a guest, preempted anywhere", 2, 1, .guest = true, .tiles = true, .only = PLAIN },
	{ "two tasks and a guest", 3, 0, .guest = true, .only = PLAIN },
	{ "two tasks and a guest, protection keys", 3, 1, .guest = true, .pkru = true, .only = PLAIN },
	{ "a guest, a debugger", 2, 0, .guest = true, .tiles = true, .debugger = true, .only = PLAIN },
	{ "a guest, queued updates", 3, 0, .guest = true, .queue = true, .load = true, .only = PLAIN },
	{ "a debugger, update=flag", 2, 0, .debugger = true },
	{ "a debugger, update=load", 2, 1, .debugger = true, .load = true, .only = NOT_BOTH },
	{ "queued updates", 2, 1, .queue = true, .load = true, .only = NOT_BOTH },
	{ "two contexts, preempted anywhere", 2, 2, .damage = true },
	{ "values and damage", 3, 0, .damage = true },
};

static const struct pass two_cpus[] = {
	{ "two contexts, CPUs down and back", 2, 0, .power = true },
	{ "two contexts, protection keys", 2, 0, .pkru = true },
	{ "two contexts, signals", 2, 0, .signals = true, .only = PLAIN },
	{ "two contexts, a debugger", 2, 0, .debugger = true, .load = true, .only = NOT_BOTH },
	{ "two contexts, queued updates", 2, 0, .queue = true, .only = PLAIN },
	{ "two contexts, preempted anywhere", 2, 2, .only = ANY },
	{ "two contexts, damage", 2, 1, .damage = true, .only = PLAIN },
	{ "two contexts, every instruction", 2, 0, .every_point = true, .only = PLAIN },
	{ "three contexts", 3, 0, .only = PLAIN },
	{ "three contexts, in other configurations", 3, 0, .only = NOT_BOTH, .long_run = true },
	{ "three contexts, one preempted anywhere", 3, 1, .only = PLAIN, .long_run = true },
	{ "two contexts, tiles", 2, 0, .tiles = true, .only = PLAIN, .long_run = true },
	{ "two contexts, tiles, preempted anywhere", 2, 2, .tiles = true, .only = PLAIN, .long_run = true },
	{ "three contexts, preempted anywhere", 3, 3, .only = PLAIN, .long_run = true },
};

static bool explore_pass(struct config config, const struct pass *pass, u32 seconds)
{
	if ((config.intonly != NULL) + config.ungated > (int[]){ 2, 1, 0 }[pass->only])
		return true;
	config.seconds = seconds;
	config.users = pass->users;
	config.suspended = pass->suspended;
	config.guest = pass->guest;
	config.tiles = pass->tiles;
	config.damage = pass->damage;
	config.pkru = pass->pkru;
	config.power = pass->power;
	config.signals = pass->signals;
	config.debugger = pass->debugger;
	config.load = pass->load;
	config.queue = pass->queue;
	config.no_exec = pass->signals || pass->debugger || pass->queue;
	config.every_point = pass->every_point;
	config.scrub = config.cpus > 1 || pass->signals || pass->debugger || pass->queue;
	return search(&config, pass->what);
}

bool explore_config(struct config config, const char *name, bool long_run)
{
	bool whole = long_run && !strcmp(config.policy, "deferred");
	const struct pass *passes = config.cpus > 1 ? two_cpus : one_cpu;
	u32 n = config.cpus > 1 ? ARRAY_SIZE(two_cpus) : ARRAY_SIZE(one_cpu);
	bool good = true;

	for (u32 i = 0; i < n && good; i++)
		good = (passes[i].long_run && !whole) || explore_pass(config, &passes[i], long_run ? LONGEST : 0);
	printf("%s %s\n", good ? "ok" : "FAIL", name);
	return good;
}
