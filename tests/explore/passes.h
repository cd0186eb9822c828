/* A configuration is searched in several passes, because some things have nothing to do with each other. */
#ifndef EXPLORE_PASSES_H
#define EXPLORE_PASSES_H

#include "tests/explore/world.h"

/*
 * All passes of one configuration on so many CPUs, with long_run also those that the tests have no time for; prints
 * their figures, and the verdict under this name.
 */
bool explore_config(struct config config, const char *name, bool long_run);

#endif
