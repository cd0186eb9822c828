/* The explored kernel's doors: signals, a debugger, and updates of one component. */
#ifndef EXPLORE_DOORS_H
#define EXPLORE_DOORS_H

#include "tests/explore/world.h"

/* An image in the standard format, symbolically. */
struct door door_decode(const void *image);

/* The running task's call: EVENT_SIGNAL and what follows it. */
void through_door(enum event event);

/* What waits for the running task becomes its own: the first thing on the way to user mode. */
void take_queued(void);

#endif
