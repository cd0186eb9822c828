/* first - a first use by a task that is alone with it: of the tests of tests/boot/amxstate.c, those that need no more. */
#include "labs/lab.h"
#define main main_of_all
#define tests all_tests
#include "tests/boot/amxstate.c"
#undef main
#undef tests

static const struct ktap_test tests[] = { { "no permission", test_without_permission }, { "frames", test_frames } };

LAB_MAIN(tests)
