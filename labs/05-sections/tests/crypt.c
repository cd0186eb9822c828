/* crypt - sections, seen from programs that have the kernel encrypt: the tests of tests/boot/crypt.c. */
#include "labs/lab.h"
#include "tests/boot/crypt.c"
