/*
 * start.c - from the initial stack to main: finds arguments, environment and auxiliary
 * vector where the kernel put them. It must never allocate: main has not run yet.
 */
#include <lib.h>

char **environ;
const uint64_t *aux_vector;

int main(int argc, char **argv);

_Noreturn void start(uint64_t *stack)
{
	int argc = (int)stack[0];
	char **argv = (char **)(stack + 1);
	char **p = argv + argc + 1;

	environ = p;
	while (*p)
		p++;
	aux_vector = (const uint64_t *)(p + 1);
	exit(main(argc, argv));
}

const char *getenv(const char *name)
{
	size_t n = strlen(name);

	for (char **e = environ; *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

uint64_t getauxval(uint64_t type)
{
	for (const uint64_t *a = aux_vector; a[0] != AT_NULL; a += 2)
		if (a[0] == type)
			return a[1];
	return 0;
}
