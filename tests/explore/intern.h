/*
 * Byte strings by number: equal strings get the same number, different ones never do. Numbers begin with 1 and
 * have no gaps.
 */
#ifndef EXPLORE_INTERN_H
#define EXPLORE_INTERN_H

#include "kernel/types.h"

struct interned {
	u64 offset; /* of its bytes */
	u32 size;
};

struct slot {
	u32 number; /* 0: free */
	u32 tag;    /* half of the hash, the other half says where to look first */
};

struct intern {
	struct interned *strings;
	u8 *bytes;
	struct slot *table;
	u64 bytes_used, bytes_room;
	u32 count, room;
};

/* The string's number. */
u32 intern(struct intern *set, const void *bytes, u32 size);

/* The string with that number, which must exist. Good until the next call of intern. */
const void *interned_bytes(const struct intern *set, u32 number, u32 *size);

void intern_forget(struct intern *set);

u64 hash_bytes(const void *bytes, u64 size);

#endif
