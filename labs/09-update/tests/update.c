/* update - the update call: the tests of tests/boot/update.c. */
#include "labs/lab.h"
#include "tests/boot/update.c"
