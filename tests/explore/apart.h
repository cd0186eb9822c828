/* That a CPU leaves alone what is another's: then nothing of it needs a lock or an interrupt to the other. */
#ifndef EXPLORE_APART_H
#define EXPLORE_APART_H

#include "kernel/types.h"

/* Before a step of this CPU, and after it: false if it changed another CPU's state, or a task's that is there. */
void apart_before(u8 cpu);
bool apart_after(u8 cpu);

#endif
