/* keys - protection keys: the tests of tests/boot/pkeys.c. */
#include "labs/lab.h"
#include "tests/boot/pkeys.c"
