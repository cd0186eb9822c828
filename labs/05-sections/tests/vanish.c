/* vanish - which saves and loads there are, and which are left out: the tests of tests/boot/counts.c. */
#include "labs/lab.h"
#include "tests/boot/counts.c"
