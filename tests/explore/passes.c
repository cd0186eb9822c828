/*
 * What is searched apart, and how far. On two CPUs the space is large, so values that nobody may look at are
 * overwritten (scrub.c); a CPU whose next steps are its own affair goes on alone; three contexts have at most one
 * preempted inside a call where all configurations are the plain one's, else none. Two contexts may be preempted
 * anywhere, and with every_point CPUs take turns before each single instruction, which shows that going on alone
 * hides nothing.
 */
#include <stdio.h>

#include "tests/explore/passes.h"
#include "tests/explore/search.h"

struct pass {
	const char *what;
	u8 users, suspended;
	bool damage, pkru, power, every_point;
	bool plain; /* only without integer-only tasks and ungated components */
};

static const struct pass one_cpu[] = {
	{ "values and damage", 3, 0, .damage = true },
	{ "protection keys", 3, 0, .pkru = true },
	{ "two contexts, preempted anywhere", 2, 2, .damage = true },
	{ "two contexts, the CPU down and back", 2, 0, .power = true },
};

static const struct pass two_cpus[] = {
	{ "two contexts, preempted anywhere", 2, 2, .plain = false },
	{ "two contexts, damage", 2, 1, .damage = true, .plain = true },
	{ "two contexts, every instruction", 2, 0, .every_point = true, .plain = true },
	{ "two contexts, protection keys", 2, 0, .pkru = true },
	{ "two contexts, CPUs down and back", 2, 0, .power = true },
	{ "three contexts", 3, 0, .plain = false },
	{ "three contexts, one preempted anywhere", 3, 1, .plain = true },
};

static bool explore_pass(struct config config, const struct pass *pass)
{
	if (pass->plain && (config.intonly || config.ungated))
		return true;
	config.users = pass->users;
	config.suspended = pass->suspended;
	config.damage = pass->damage;
	config.pkru = pass->pkru;
	config.power = pass->power;
	config.every_point = pass->every_point;
	config.scrub = config.cpus > 1;
	return search(&config, pass->what);
}

bool explore_config(struct config config, const char *name)
{
	const struct pass *passes = config.cpus > 1 ? two_cpus : one_cpu;
	u32 n = config.cpus > 1 ? ARRAY_SIZE(two_cpus) : ARRAY_SIZE(one_cpu);
	bool good = true;

	for (u32 i = 0; i < n && good; i++)
		good = explore_pass(config, &passes[i]);
	printf("%s %s\n", good ? "ok" : "FAIL", name);
	return good;
}
