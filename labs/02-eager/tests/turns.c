/* turns - for the trace: two processes push each other out of the registers, and compare what they find there. */
#include "labs/lab.h"
#include "tests/boot/registers.h"

enum { TURNS = 40 };

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

static const struct ktap_test tests[] = { { "two in turn", test_two } };

int main(void)
{
	detect();
	return lab_run(tests, (int)ARRAY_SIZE(tests));
}
