/* Synchronous IPC; see ipc.c. */
#ifndef KERNEL_IPC_H
#define KERNEL_IPC_H

struct task;

/* The task ends: whoever waits for it gets -ESRCH. */
void ipc_exit(struct task *task);

#endif
