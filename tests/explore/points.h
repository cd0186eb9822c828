/* Where the explorer may step in while real code runs. */
#ifndef EXPLORE_POINTS_H
#define EXPLORE_POINTS_H

#include "tests/explore/world.h"

/* The explorer's own stack while a task runs, and what it wants to happen. */
extern void *explorer_sp;
extern enum event chosen;

/* A numbered point. Other CPUs may go on here; interrupts and switches come if this CPU would let them. */
void explore_point(u32 number);

/* The same where user memory is accessed: true if it faults. */
bool explore_access(void);

/* Hands the CPU to the explorer; comes back with its choice. */
enum event choose(enum place place);

/* The running task begins a system call, or has come back from one. */
void trail_begin(enum event event);
void trail_end(void);

/* Gives this CPU to another task; returns when the running one has a CPU again. */
void switch_to(u32 next);

/* What a task does first after it has got a CPU: frees a dead one, then lets interrupts come. */
void after_switch(void);

/* Interrupts and preemption, as often as the explorer likes. True if the event was one of them. */
bool comes_anywhere(enum event event);

#endif
