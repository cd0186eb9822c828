/* The search through every state that can be reached. */
#ifndef EXPLORE_SEARCH_H
#define EXPLORE_SEARCH_H

#include "tests/explore/world.h"

/* Prints what was covered, or the shortest story to a failure. False if there was one. */
bool search(const struct config *config, const char *what);

#endif
