/* Where the explored kernel's coroutines begin. */
#ifndef EXPLORE_PATHS_H
#define EXPLORE_PATHS_H

/* A task with a program, and a CPU's kernel task. Neither returns. */
void user_task(void);
void kernel_task(void);

/* A value that nothing holds. */
u8 fresh_value(void);

#endif
