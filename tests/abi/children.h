/*
 * children.h - children, and what wait says of them, in words: for stops.c and the programs with ptrace.h. Nothing
 * here may print a process id or an address.
 */
#ifndef CHILDREN_H
#define CHILDREN_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nothing that is buffered gets printed twice. */
static inline pid_t fork_clean(void)
{
	fflush(NULL);
	return fork();
}

static inline void sleeper(void)
{
	for (;;)
		pause();
}

static inline void show(const char *what, int status)
{
	printf("%s: ", what);
	if (WIFEXITED(status))
		printf("exit %d\n", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("killed by %d\n", WTERMSIG(status));
	else if (WIFCONTINUED(status))
		printf("continued\n");
	else
		printf("stop %#x\n", (unsigned int)status >> 8);
}

/* The status; 0 if there is none. */
static inline int wait_for(const char *what, pid_t pid, int options)
{
	int status = 0;
	pid_t found = waitpid(pid, &status, options);

	if (found == pid)
		show(what, status);
	else
		printf("%s: %d %s\n", what, found, found < 0 ? strerror(errno) : "");
	return status;
}

#endif
