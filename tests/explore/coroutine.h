/* Tasks as coroutines, each with a stack of its own at a fixed place. */
#ifndef EXPLORE_COROUTINE_H
#define EXPLORE_COROUTINE_H

#include "kernel/types.h"
#include "tests/explore/world.h"

#define STACK_SIZE 8192
extern u8 stacks[TASKS][STACK_SIZE];

/* Saves the callee-saved registers and the stack pointer, and goes on with another coroutine's. */
void coroutine_swap(void **save, void *load);

/* The task's coroutine begins at entry when it is first gone on with. */
void coroutine_init(u32 task, void (*entry)(void));

#endif
