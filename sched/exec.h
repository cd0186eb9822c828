/* execve; see exec.c. */
#ifndef SCHED_EXEC_H
#define SCHED_EXEC_H

#include "kernel/types.h"

#define EXEC_STRINGS_SIZE (128 * 1024)

/* Arguments and environment on their way to a new program. */
struct exec_args {
	char *strings; /* EXEC_STRINGS_SIZE bytes: argv's strings, then envp's, each with its NUL */
	u64 used;
	u32 argc, envc;
};

long exec_args_init(struct exec_args *args);
void exec_args_free(struct exec_args *args);
/* Appends one string. -E2BIG if it does not fit. */
long exec_args_add(struct exec_args *args, const char *string);

/*
 * Replaces the current task's program: 0 with the new registers in place, or -errno with nothing changed.
 * After the point of no return a failure ends the process. Consumes args.
 */
long exec_program(const char *path, struct exec_args *args);

#endif
