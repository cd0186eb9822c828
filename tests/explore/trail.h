/*
 * A trail is the way that a task has come since its system call began: which points, and whether it changed CPUs
 * between them. It stands for the contents of the task's stack. Trails are numbered as they are met, and no two
 * different ones get the same number; 0 is the empty one.
 */
#ifndef EXPLORE_TRAIL_H
#define EXPLORE_TRAIL_H

#include "kernel/types.h"

/* Points that are not the real code's own. */
enum {
	POINT_MEMCPY = 1, POINT_PREEMPT_BEFORE, POINT_PREEMPT_OFF, POINT_PREEMPT_ON, POINT_IRQ_OFF,
	POINT_SECTION_WRITES, POINT_SECTION_READS, POINT_SWITCH, POINT_ARRIVE, POINT_INTERRUPT, POINT_SAVE,
	POINT_LOAD, POINT_LOADED, POINT_PKRU, POINT_CONTROL, POINT_TS, POINT_MSR, POINT_TILES, POINT_USER, POINT_FAULT,
	POINT_CALL_0 /* and one for each event */
};

/* The trail that continues this one. */
u16 trail_after(u16 trail, u32 point, bool moved);

#endif
