/* registers - every process keeps its own: the tests of tests/boot/fpu.c. */
#include "labs/lab.h"
#include "tests/boot/fpu.c"
