/* The explored kernel's tile instructions, and what keeps a CPU from deep sleep. */
#ifndef EXPLORE_TILES_H
#define EXPLORE_TILES_H

#include "tests/explore/world.h"

/* The running program has executed one. */
void tile_instruction(enum event event);

/* The CPU's kernel task is about to wait for an interrupt. */
void sleep(void);

#endif
