/* sections - what went wrong in other kernels' sections: the tests of tests/boot/fpumuseum.c. */
#include "labs/lab.h"
#include "tests/boot/fpumuseum.c"
