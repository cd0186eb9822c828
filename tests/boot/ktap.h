/*
 * ktap.h - the frame of the boot tests: a table of tests, KTAP on standard output.
 *
 * A test is a function; each check that fails prints a diagnostic and makes the test "not
 * ok"; all checks of a test run. The tests use Linux's ABI and mostly run on a Linux host
 * too, which shows that they expect the right thing; what only Tarry has is skipped there.
 * A test must leave no child, file or mapping behind: testall counts pages.
 */
#ifndef KTAP_H
#define KTAP_H

#include <lib.h>

struct ktap_test {
	const char *name;
	void (*run)(void);
};

static int ktap_failed;
static const char *ktap_skipped;

#define KTAP_MAX_DIAGNOSTICS	12

/* Prints at most a dozen lines a test: the rest adds nothing. */
#define FAIL(...) do {							\
	if (ktap_failed++ < KTAP_MAX_DIAGNOSTICS) {			\
		char ktap_text[200];					\
		snprintf(ktap_text, sizeof(ktap_text), __VA_ARGS__);	\
		printf("# line %d: %s\n", __LINE__, ktap_text);		\
	}								\
} while (0)

#define EXPECT(condition) do {						\
	if (!(condition))						\
		FAIL("not so: %s", #condition);				\
} while (0)

#define EXPECT_EQ(value, expected) do {					\
	long ktap_v = (long)(value), ktap_e = (long)(expected);		\
	if (ktap_v != ktap_e)						\
		FAIL("%s is %ld (0x%lx), not %ld", #value, ktap_v,	\
		     (uint64_t)ktap_v, ktap_e);				\
} while (0)

#define SKIP(reason) do { ktap_skipped = (reason); return; } while (0)

/* Nothing but Tarry has the stats call. */
static inline int on_tarry(void)
{
	struct tarry_stats s;

	return stats(&s, sizeof(s)) >= 0;
}

static inline int debug_allowed(void)
{
	return debug(TARRY_DEBUG_CHECK_WX, 0) >= 0;
}

/* For tests of what tasks do to each other on one CPU: the caller and its later children stay on these. */
#define ONE_CPU		1ul
#define ALL_CPUS	(~0ul)

static inline void stay_on_cpus(uint64_t mask)
{
	syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
}

/* Runs f in a child whose checks count: the child's status is the number of failures. */
static inline int ktap_child(void (*f)(void))
{
	int status = -1;
	long pid = fork();

	if (pid == 0) {
		ktap_failed = 0;
		f();
		exit(ktap_failed > 100 ? 100 : ktap_failed);
	}
	EXPECT(pid > 0);
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);
	return status;
}

static inline int ktap_run(const struct ktap_test *tests, int count)
{
	int bad = 0;

	printf("KTAP version 1\n1..%d\n", count);
	for (int i = 0; i < count; i++) {
		ktap_failed = 0;
		ktap_skipped = NULL;
		tests[i].run();
		bad += ktap_failed != 0;
		if (ktap_skipped && !ktap_failed)
			printf("ok %d %s # SKIP %s\n", i + 1, tests[i].name, ktap_skipped);
		else
			printf("%s %d %s\n", ktap_failed ? "not ok" : "ok", i + 1, tests[i].name);
	}
	return bad != 0;
}

#define KTAP_MAIN(table)						\
	int main(void)							\
	{								\
		return ktap_run(table, (int)ARRAY_SIZE(table));		\
	}

#endif
