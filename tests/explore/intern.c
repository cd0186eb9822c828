/* A hash table with open addressing that doubles when it is half full. See intern.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/explore/intern.h"

#define FIRST_ROOM 1024

u64 hash_bytes(const void *bytes, u64 size)
{
	u64 hash = size, word;

	for (u64 i = 0; i < size; i += sizeof(word)) {
		word = 0;
		memcpy(&word, (const u8 *)bytes + i, MIN(sizeof(word), size - i));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	hash *= 0xbf58476d1ce4e5b9;
	return hash ^ hash >> 29;
}

static void *grown(void *old, u64 size)
{
	void *new = realloc(old, size);

	if (!new) {
		printf("out of memory\n");
		exit(2);
	}
	return new;
}

static void enter(struct intern *set, u32 number, u64 hash)
{
	u32 mask = 2 * set->room - 1, at = (u32)hash & mask;

	while (set->table[at].number)
		at = (at + 1) & mask;
	set->table[at] = (struct slot){ number, (u32)(hash >> 32) };
}

static void make_table(struct intern *set)
{
	free(set->table);
	set->table = grown(NULL, 2 * (u64)set->room * sizeof(*set->table));
	memset(set->table, 0, 2 * (u64)set->room * sizeof(*set->table));
	for (u32 i = 1; i <= set->count; i++)
		enter(set, i, hash_bytes(set->bytes + set->strings[i].offset, set->strings[i].size));
}

static void make_room(struct intern *set, u32 size)
{
	if (set->count + 1 >= set->room) {
		set->room = set->room ? 2 * set->room : FIRST_ROOM;
		set->strings = grown(set->strings, set->room * sizeof(*set->strings));
		make_table(set);
	}
	if (set->bytes_used + size > set->bytes_room) {
		set->bytes_room = 2 * set->bytes_room + size + FIRST_ROOM;
		set->bytes = grown(set->bytes, set->bytes_room);
	}
}

static bool is(const struct intern *set, u32 number, const void *bytes, u32 size)
{
	const struct interned *string = &set->strings[number];

	return string->size == size && !memcmp(set->bytes + string->offset, bytes, size);
}

u32 intern(struct intern *set, const void *bytes, u32 size)
{
	u64 hash = hash_bytes(bytes, size);
	u32 mask = 2 * set->room - 1;

	for (u32 at = (u32)hash & mask; set->room && set->table[at].number; at = (at + 1) & mask)
		if (set->table[at].tag == (u32)(hash >> 32) && is(set, set->table[at].number, bytes, size))
			return set->table[at].number;
	make_room(set, size);
	set->strings[++set->count] = (struct interned){ set->bytes_used, size };
	memcpy(set->bytes + set->bytes_used, bytes, size);
	set->bytes_used += size;
	enter(set, set->count, hash);
	return set->count;
}

const void *interned_bytes(const struct intern *set, u32 number, u32 *size)
{
	const struct interned *string = &set->strings[number];

	if (size)
		*size = string->size;
	return set->bytes + string->offset;
}

void intern_forget(struct intern *set)
{
	free(set->strings);
	free(set->bytes);
	free(set->table);
	*set = (struct intern){ 0 };
}
