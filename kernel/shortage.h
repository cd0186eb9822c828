/*
 * A shortage of memory on request, for tests: the n-th page or heap allocation that a task makes from now on
 * fails, once. What it does until then, it does in the address space it has now: the first program after an exec
 * is spared.
 */
#ifndef KERNEL_SHORTAGE_H
#define KERNEL_SHORTAGE_H

#include "kernel/types.h"

struct mm;
struct task;

struct shortage {
	volatile u64 left; /* allocations until the failure; 0: none is planned */
	struct task *task;
	struct mm *mm;
};
extern struct shortage shortage;

/* For the current task; returns what was left of the last plan. n = 0: no failure. */
u64 shortage_plan(u64 n);

bool shortage_strikes(void);

static inline bool shortage_now(void)
{
	return unlikely(shortage.left) && shortage_strikes();
}

#endif
