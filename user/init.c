/*
 * init - the first program: shows the tour, then gives the console to a shell, and ends
 * the run when the shell ends. Without a terminal the shell meets the end of its input at
 * once, so the machine stops after the tour. It passes on only the tour's failure.
 */
#include <lib.h>

int main(void)
{
	char *const tour[] = { "/bin/tour", NULL };
	char *const shell[] = { "/bin/sh", NULL };
	int failed;

	puts("Welcome to Tarry.");
	failed = run(tour);
	if (failed)
		printf("init: the tour ended with status %d\n", failed);
	run(shell);
	puts("Bye.");
	return failed;
}
