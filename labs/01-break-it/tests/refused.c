/* refused - images that cannot be loaded: the tests of tests/boot/fpumuseum.c. */
#include "labs/lab.h"
#include "tests/boot/fpumuseum.c"
