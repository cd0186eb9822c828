/*
 * For host programs that a grader runs, linked with --wrap=main: the program's status comes with a sum of the run's
 * nonce, so that only a run whose main came to its end counts, whatever has been printed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

/* splitmix64's last steps, as in labs/lab.h. */
static uint64_t sum(uint64_t nonce, uint64_t number)
{
	uint64_t z = nonce + number * 2;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ z >> 27) * 0x94d049bb133111ebul;
	return z ^ z >> 31;
}

int __wrap_main(int argc, char **argv)
{
	const char *text = getenv("LAB_NONCE");
	uint64_t nonce = text ? strtoull(text, NULL, 16) : 0;
	int status;

	unsetenv("LAB_NONCE");
	status = __real_main(argc, argv);
	fflush(stdout);
	printf("\nlab %d %016lx\n", status, (unsigned long)sum(nonce, (uint64_t)status));
	return status;
}
