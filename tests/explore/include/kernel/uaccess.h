/* In the place of the kernel's: a task's memory for one signal frame (frames.c), any access to which may fault. */
#ifndef KERNEL_UACCESS_H
#define KERNEL_UACCESS_H

#include "kernel/errno.h"
#include "kernel/types.h"

long copy_from_user(void *dst, u64 src, size_t n);
long copy_to_user(u64 dst, const void *src, size_t n);

#endif
