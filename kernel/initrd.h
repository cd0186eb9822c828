/* The boot image as a read-only tree of files; see initrd.c. */
#ifndef KERNEL_INITRD_H
#define KERNEL_INITRD_H

#include "kernel/file.h"

/* Reads the module "image". Panics if there is none or it is damaged. */
void initrd_init(void);

#define PATH_MAX 256

/* Makes an absolute path without `.`, `..` and double slashes out of path and the directory it is relative to. */
long path_normalise(char *out, const char *directory, const char *path);

#endif
