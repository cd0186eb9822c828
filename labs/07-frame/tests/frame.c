/* frame - what a signal does to the registers: the tests of tests/boot/sigframe.c. */
#include "labs/lab.h"
#include "tests/boot/sigframe.c"
