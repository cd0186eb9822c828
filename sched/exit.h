/* How tasks end; see exit.c. */
#ifndef SCHED_EXIT_H
#define SCHED_EXIT_H

/* The current task was told to end. Interrupts on. */
void task_exit_killed(void) __attribute__((noreturn));

/* The same for a kernel thread whose function has returned. */
void task_exit_kthread(void) __attribute__((noreturn));

#endif
