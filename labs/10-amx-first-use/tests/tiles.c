/* tiles - permission, the first use, and 8 KiB that must not get lost: the tests of tests/boot/amxstate.c. */
#include "labs/lab.h"
#include "tests/boot/amxstate.c"
