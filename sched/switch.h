/* What switch.asm and the C code around it call of each other. Nothing else may call any of it. */
#ifndef SCHED_SWITCH_H
#define SCHED_SWITCH_H

#include "kernel/types.h"

/* Saves the callee-saved registers and the stack pointer, loads next's, and returns on its stack. */
void switch_stacks(u64 *save_rsp, u64 load_rsp);

/* Where a new task's first switch returns to: of a user task, and of a kernel thread. */
void first_return_to_user(void);
void first_kthread_run(void);

/* sched.c: by switch_stacks on the new task's stack, if the old task has ended or may no longer run on this CPU. */
void sched_see_off(void);

/* fork.c: the first thing that a new user task does. */
void fork_first_run(void);

#endif
