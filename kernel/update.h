/* Values of one FPU component that wait for their task; see update.c. */
#ifndef KERNEL_UPDATE_H
#define KERNEL_UPDATE_H

#include "kernel/types.h"

struct task;

/* The current task takes what waits for it (TASK_UPDATE is set). On its way to user mode, preemptible, interrupts on. */
void updates_take(void);

/* What waits for the task is for a program that is no more. With task_lock. */
void updates_drop(struct task *task);

#endif
