/*
 * hello.c - the smallest real program: stdio, malloc, floating point, thread-local storage, the
 * arguments, the environment and the auxiliary vector, all as the C library sets them up.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static __thread int counter = 41;
static volatile double two = 2;

static void at_exit(void)
{
	puts("at exit");
}

int main(int argc, char **argv, char **envp)
{
	char *text = malloc(1 << 20);
	unsigned int sum = 0;

	atexit(at_exit);
	if (!text)
		return 1;
	memset(text, 1, 1 << 20);
	for (int i = 0; i < 1 << 20; i++)
		sum += text[i];
	free(text);
	printf("hello from %s, %d arguments, last %s\n", argv[0], argc, argv[argc - 1]);
	printf("%.6f %.3e %a %Lf\n", sqrt(two), 1 / (two + 1), two / 3, (long double)two / 3);
	printf("malloc %u, tls %d, path %s\n", sum, ++counter, getenv("PATH"));
	printf("page size %ld, random %d, environment %d\n", sysconf(_SC_PAGESIZE),
	       getauxval(AT_RANDOM) != 0, envp[0] != NULL);
	for (int i = 0; i < argc; i++)
		printf("argument %d <%s>\n", i, argv[i]);
	for (char **e = envp; *e; e++)
		printf("environment <%s>\n", *e);
	fprintf(stderr, "on stderr\n");
	return argc;
}
