/* Long walks by chance, for more CPUs and contexts than can be searched. */
#ifndef EXPLORE_WALK_H
#define EXPLORE_WALK_H

#include "tests/explore/world.h"

struct walks {
	u64 seed;    /* of the first; the next has the next number */
	u32 count;   /* so many, if not 0, */
	u32 seconds; /* else for so long */
};

/* In all configurations in turn. Prints what was done, or a shortened story. False if something was wrong. */
bool walk(const struct walks *walks);

#endif
