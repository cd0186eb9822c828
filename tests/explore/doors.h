/* The explored kernel's doors: signals, a debugger, and updates of one component. */
#ifndef EXPLORE_DOORS_H
#define EXPLORE_DOORS_H

#include "tests/explore/world.h"

/* The running task's call: EVENT_SIGNAL and what follows it. */
void through_door(enum event event);

#endif
