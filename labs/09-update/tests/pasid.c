/* pasid - ENQCMD and the PASID that a thread gets at its first one: the tests of tests/boot/pasid.c. */
#include "labs/lab.h"
#include "tests/boot/pasid.c"
