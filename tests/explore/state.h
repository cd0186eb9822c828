/*
 * The present state of the explored kernel, whole, to go on from later: the coroutines' stacks included. Each part is
 * kept once and known by number, so that a state is a few words.
 */
#ifndef EXPLORE_STATE_H
#define EXPLORE_STATE_H

#include "kernel/types.h"

/* What can be searched; random walks may have more. */
#define STATE_CPUS 2
#define STATE_USERS 3
#define STATE_IMAGES (2 * STATE_USERS + 1)

struct state {
	u32 user[STATE_USERS], kernel[STATE_CPUS], cpu[STATE_CPUS], images, frames[STATE_USERS];
};

struct state state_save(void);
void state_restore(const struct state *state);
void state_forget(void);

#endif
