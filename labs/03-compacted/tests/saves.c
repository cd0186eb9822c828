/* saves - how much is stored: the tests of tests/boot/counts.c. */
#include "labs/lab.h"
#include "tests/boot/counts.c"
