/*
 * ends.c - ends in the way that its argument names, so that the status can be compared with what
 * Linux gives for the same program.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int zero;
static int (*volatile data_as_code)(void) = (int (*)(void))&zero;

static int child_status(void)
{
	int status;

	if (fork() == 0)
		_exit(23);
	wait(&status);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "return"))
		return 17;
	if (!strcmp(how, "exit"))
		exit(300);		/* only the low byte counts */
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "null"))
		return *(volatile int *)(long)zero;
	if (!strcmp(how, "divide"))
		return 1 / zero;
	if (!strcmp(how, "illegal"))
		asm volatile("ud2");
	if (!strcmp(how, "execute data"))
		return data_as_code();
	if (!strcmp(how, "privileged"))
		asm volatile("cli");
	if (!strcmp(how, "terminate"))
		kill(getpid(), SIGTERM);
	if (!strcmp(how, "stack"))
		asm volatile("1: push %rax; jmp 1b");
	if (!strcmp(how, "child"))
		return child_status();
	return 99;
}
