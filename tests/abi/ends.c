/*
 * ends.c - ends in the way that its argument names, so that the status can be compared with what
 * Linux gives for the same program. With "all" it forks once for every way and prints how each
 * child ended.
 */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const ways[] = { "return",	     "exit",	       "_exit",	     "abort",
				    "assert",	     "null",	       "divide",     "illegal",
				    "breakpoint",    "execute data",   "write code", "privileged",
				    "non-canonical", "kernel address", "terminate",  "kill",
				    "stack",	     "x87 exception",  "child" };

static volatile int zero;
static int (*volatile data_as_code)(void) = (int (*)(void)) & zero;

static void say(void)
{
	puts("handler at exit");
}

static int child_status(void)
{
	int status;

	fflush(stdout);
	if (fork() == 0)
		_exit(23);
	wait(&status);
	return WEXITSTATUS(status);
}

static int end(const char *how)
{
	unsigned short all_on = 0x340;

	atexit(say);
	if (!strcmp(how, "return"))
		return 17;
	if (!strcmp(how, "exit"))
		exit(300); /* only the low byte counts */
	if (!strcmp(how, "_exit"))
		_exit(18);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "assert"))
		assert(zero == 1);
	if (!strcmp(how, "null"))
		return *(volatile int *)(long)zero;
	if (!strcmp(how, "divide"))
		return 1 / zero;
	if (!strcmp(how, "illegal"))
		asm volatile("ud2");
	if (!strcmp(how, "breakpoint"))
		asm volatile("int3");
	if (!strcmp(how, "execute data"))
		return data_as_code();
	if (!strcmp(how, "write code"))
		*(volatile char *)(void *)end = 0;
	if (!strcmp(how, "privileged"))
		asm volatile("cli");
	if (!strcmp(how, "non-canonical"))
		return *(volatile int *)0x8000000000001000;
	if (!strcmp(how, "kernel address"))
		return *(volatile int *)0xffffffff80000000;
	if (!strcmp(how, "terminate"))
		kill(getpid(), SIGTERM);
	if (!strcmp(how, "kill"))
		raise(SIGKILL);
	if (!strcmp(how, "stack"))
		asm volatile("1: push %rax; jmp 1b");
	if (!strcmp(how, "x87 exception"))
		asm volatile("fldcw %0; fldz; fldz; fdivp; fwait" : : "m"(all_on));
	if (!strcmp(how, "child"))
		return child_status();
	return 99;
}

static void report(const char *how)
{
	int status;

	fflush(stdout);
	if (fork() == 0)
		exit(end(how));
	wait(&status);
	if (WIFEXITED(status))
		printf("%s: status %d\n", how, WEXITSTATUS(status));
	else
		printf("%s: signal %d\n", how, WTERMSIG(status));
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 99;
	if (strcmp(argv[1], "all"))
		return end(argv[1]);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		report(ways[i]);
	return 0;
}
