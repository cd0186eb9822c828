/* Reader of the boot image's format, cpio "newc". Pure code; see cpio.c. */
#ifndef KERNEL_CPIO_H
#define KERNEL_CPIO_H

#include "kernel/types.h"

struct cpio_entry {
	const char *name; /* inside the archive, NUL-terminated */
	u32 mode;	  /* as st_mode */
	const u8 *data;
	u64 size;
};

/*
 * Reads the entry at *offset and moves *offset behind it. 1: an entry; 0: the trailer, or the end of the
 * archive; -1: the archive is damaged there.
 */
int cpio_next(const u8 *archive, u64 size, u64 *offset, struct cpio_entry *entry);

#endif
