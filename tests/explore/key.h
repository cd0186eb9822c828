/*
 * What distinguishes the futures of two states. Left out: which number a value has, and which of several places or
 * CPUs that are alike something is in. States with the same key may be taken for one another, and others never are.
 */
#ifndef EXPLORE_KEY_H
#define EXPLORE_KEY_H

#include "tests/explore/state.h"

struct key {
	u32 part[STATE_USERS + STATE_CPUS];
};

/* The present state's. */
struct key key_of_world(void);
void key_forget(void);

#endif
