/* The explored kernel's guest. */
#ifndef EXPLORE_GUESTS_H
#define EXPLORE_GUESTS_H

#include "tests/explore/world.h"

/* The running task's call: EVENT_GUEST and what follows it. */
void guest_call(enum event event);

#endif
