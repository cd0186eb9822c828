/* keys - a signal and the protection keys: the tests of tests/boot/sigkeys.c. */
#include "labs/lab.h"
#include "tests/boot/sigkeys.c"
