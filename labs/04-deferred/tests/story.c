/*
 * story - for the trace: two processes push each other out of the registers 20 times, then one sleeps 20 times and
 * finds its registers as they were. What counts is what the grader reads in the trace; here only the values are.
 */
#include "labs/lab.h"
#include "tests/boot/registers.h"

enum { TURNS = 20 };

static void test_two(void)
{
	int status = -1;
	long pid = fork();

	make_pattern(&want, pid ? 1 : 2);
	keep(SYS_sched_yield, TURNS);
	compare(pid ? 0 : 1);
	if (pid == 0)
		exit(ktap_failed != 0);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
}

static void test_alone(void)
{
	for (int i = 0; i < TURNS; i++)
		sleep_ms(1);
}

static const struct ktap_test tests[] = { { "two in turn", test_two }, { "one alone", test_alone } };

int main(void)
{
	detect();
	stay_on_cpus(ONE_CPU);
	return lab_run(tests, (int)ARRAY_SIZE(tests));
}
