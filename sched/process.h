/* Processes and their families: fork, exec, exit, wait. */
#ifndef SCHED_PROCESS_H
#define SCHED_PROCESS_H

#include "sched/task.h"

#define USER_ID 1000 /* everybody's */

#define CLONE_SIGNAL_MASK 0xff
#define CLONE_VM 0x100
#define CLONE_FS 0x200
#define CLONE_FILES 0x400
#define CLONE_SIGHAND 0x800
#define CLONE_VFORK 0x4000
#define CLONE_THREAD 0x10000
#define CLONE_SYSVSEM 0x40000
#define CLONE_SETTLS 0x80000
#define CLONE_PARENT_SETTID 0x100000
#define CLONE_CHILD_CLEARTID 0x200000
#define CLONE_DETACHED 0x400000
#define CLONE_CHILD_SETTID 0x1000000

/* Process 1: no task, no memory; the parent of the first programs and of all orphans. */
extern struct process kernel_process;
void process_init(void);

/* The limits that the first process starts with. */
void rlimits_init(struct process *process);

/* A process without tasks, child of parent, or NULL. Its address space and files are the caller's to set. */
struct process *process_create(struct process *parent);

/* Makes task a thread of process (its first gets the process's pid). With task_lock. */
void process_add_task(struct process *process, struct task *task);

/* The process with that pid, zombies included, or NULL. With task_lock. */
struct process *process_find(int pid);

/* Collects one ended child: its pid, 0 if none has ended, -ECHILD. With task_lock. */
long process_reap(struct process *parent, int *status);
/* Gives up what is left of one that has ended. With task_lock. */
void process_forget(struct process *process);
void process_free(struct process *process);
/* The parent of one that has ended hears of it, and may not care: then it is forgotten. With task_lock. */
void process_tell_end(struct process *process);
/* The working directory, which threads share: PATH_MAX bytes out or in. */
void process_get_cwd(struct process *process, char *path);
void process_set_cwd(struct process *process, const char *path);

/* True if process_reap would not return 0. */
bool process_has_zombie(struct process *parent);
u32 processes_count(void);
/* Head of the list of all processes, linked by `all`. With task_lock. */
struct list *process_list(void);

/* Whoever made the task by vfork, and waits, goes on. With task_lock. */
void vfork_release(struct task *task);

/* All other threads of the process are told to end; with task_lock. */
void process_kill_threads(struct process *process, const struct task *except);

#endif
