/*
 * For host programs that a grader runs, linked with --wrap=main and --wrap=_cmocka_run_group_tests: each test's result
 * and the program's status come with a sum of the run's nonce, so that nothing that a tested function prints, and no
 * exit in the middle, counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

/* Only in programs that are linked with cmocka. */
int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown) __attribute__((weak));
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);

static uint64_t nonce;

/* splitmix64's last steps, as in labs/lab.h. */
static unsigned long sum(uint64_t number, uint64_t good)
{
	uint64_t z = nonce + number * 2 + good;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ z >> 27) * 0x94d049bb133111ebul;
	return z ^ z >> 31;
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown)
{
	int bad = 0;

	for (size_t i = 0; i < count; i++) {
		int failed = __real__cmocka_run_group_tests(name, &tests[i], 1, setup, teardown) != 0;

		fflush(stdout);
		printf("\nlab %zu %s %016lx %s\n", i + 1, failed ? "bad" : "ok", sum(i + 1, !failed), tests[i].name);
		fflush(stdout);
		bad += failed;
	}
	return bad;
}

int __wrap_main(int argc, char **argv)
{
	const char *text = getenv("LAB_NONCE");
	int status;

	nonce = text ? strtoull(text, NULL, 16) : 0;
	unsetenv("LAB_NONCE");
	status = __real_main(argc, argv);
	fflush(stdout);
	printf("\nlab %d %016lx\n", status, sum((uint64_t)status, 0));
	return status;
}
