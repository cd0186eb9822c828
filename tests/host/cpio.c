/*
 * cpio.c - the reader of the boot image. Archives are made here, then cut, damaged and lied about;
 * each is a heap block of exactly its size, so that one byte read too far ends the test.
 */
#include "host.h"

#include "kernel/cpio.c"

#define ARCHIVE_MAX 4096

struct member {
	const char *name;
	u32 mode;
	const char *data;
};

static const struct member members[] = {
	{ "bin", 0040755, "" },	       { "bin/sh", 0100755, "0123456789" },
	{ "etc/argv", 0100644, "x" },  { "empty", 0100644, "" },
	{ "four", 0100644, "abcd" },   { "a/much/longer/name/here", 0100644, "abc" },
	{ "Five5", 0100600, "12345" },
};

static u8 archive[ARCHIVE_MAX];
static u64 archive_size;

static void pad(void)
{
	while (archive_size % 4)
		archive[archive_size++] = 0;
}

static void add(const char *name, u32 mode, const char *data, const char *number_format)
{
	u32 namesize = (u32)strlen(name) + 1, filesize = (u32)strlen(data);
	const u32 fields[13] = { 1, mode, 0, 0, 1, 0, filesize, 0, 0, 0, 0, namesize, 0 };
	char *at = (char *)archive + archive_size;

	at += sprintf(at, "070701");
	for (u32 i = 0; i < 13; i++)
		at += sprintf(at, number_format, fields[i]);
	archive_size += HEADER_SIZE;
	memcpy(archive + archive_size, name, namesize);
	archive_size += namesize;
	pad();
	memcpy(archive + archive_size, data, filesize);
	archive_size += filesize;
	pad();
}

static int make_archive(void **state)
{
	memset(archive, 0, sizeof(archive));
	archive_size = 0;
	for (u32 i = 0; i < ARRAY_SIZE(members); i++)
		add(members[i].name, members[i].mode, members[i].data, i % 2 ? "%08X" : "%08x");
	add("TRAILER!!!", 0, "", "%08X");
	return 0;
}

/* Puts a number into a field of the header at offset. */
static void set_field(u64 offset, u32 index, u32 value)
{
	char text[9];

	sprintf(text, "%08x", value);
	memcpy(archive + offset + 6 + 8 * index, text, 8);
}

/*
 * Reads the first size bytes to the end. Every entry must lie inside and the offset must grow.
 * Returns how it ended; *entries is how many were read.
 */
static int walk(u64 size, u32 *entries)
{
	u8 *copy = exact_copy(archive, size);
	struct cpio_entry entry;
	u64 offset = 0, last;
	int result;

	*entries = 0;
	for (;;) {
		last = offset;
		result = cpio_next(copy, size, &offset, &entry);
		if (result <= 0)
			break;
		assert_true(offset > last);
		assert_true((const u8 *)entry.name >= copy + last + HEADER_SIZE);
		assert_true((const u8 *)entry.name + strlen(entry.name) < copy + size);
		assert_true(entry.data >= copy && entry.data <= copy + size);
		assert_true(entry.size <= (u64)(copy + size - entry.data));
		for (u64 i = 0; i < entry.size; i++)
			(void)*(volatile const u8 *)(entry.data + i);
		++*entries;
	}
	assert_true(result >= -1);
	free(copy);
	return result;
}

/* Fails if a name, a mode or the data is taken from the wrong place, or capital digits are not
 * read. */
static void good_archive(void **state)
{
	struct cpio_entry entry;
	u64 offset = 0;

	for (u32 i = 0; i < ARRAY_SIZE(members); i++) {
		assert_int_equal(cpio_next(archive, archive_size, &offset, &entry), 1);
		assert_string_equal(entry.name, members[i].name);
		assert_int_equal(entry.mode, members[i].mode);
		assert_int_equal(entry.size, strlen(members[i].data));
		assert_memory_equal(entry.data, members[i].data, entry.size);
	}
	assert_int_equal(cpio_next(archive, archive_size, &offset, &entry), 0);
}

/* Fails if a cut archive is read behind its end, or passes for a whole one when it ends inside a
 * member. */
static void truncated(void **state)
{
	struct cpio_entry entry;
	u64 offset = 0, ends[ARRAY_SIZE(members) + 1] = { 0 };

	for (u32 i = 0; i < ARRAY_SIZE(members); i++) {
		cpio_next(archive, archive_size, &offset, &entry);
		ends[i + 1] = offset;
	}
	for (u64 size = 0; size < archive_size; size++) {
		u32 entries, complete = 0;
		int result = walk(size, &entries);
		u64 data_end;

		while (complete < ARRAY_SIZE(members) && ends[complete + 1] <= size)
			complete++;
		/* The padding behind the data of the last member may be missing. */
		data_end = complete < ARRAY_SIZE(members)
				   ? ends[complete + 1] - (-strlen(members[complete].data) & 3)
				   : ~0ul;
		assert_int_equal(entries, complete + (size >= data_end));
		assert_int_equal(result, size == ends[complete] || size >= data_end ? 0 : -1);
	}
}

/* Fails if a size that does not fit wraps round and points into the archive again. */
static void hostile_sizes(void **state)
{
	static const u32 sizes[] = { 0xffffffff, 0xfffffffe, 0xfffffffc,
				     0x80000000, 0x7fffffff, ARCHIVE_MAX };
	u32 entries;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		set_field(0, FIELD_FILESIZE, sizes[i]);
		assert_int_equal(walk(archive_size, &entries), -1);
		make_archive(NULL);
		set_field(0, FIELD_NAMESIZE, sizes[i]);
		assert_int_equal(walk(archive_size, &entries), -1);
		set_field(0, FIELD_FILESIZE, sizes[i]);
		assert_int_equal(walk(archive_size, &entries), -1);
		make_archive(NULL);
	}
	for (u32 back = 0; back < 2;
	     back++) { /* a name that ends inside the header, where a NUL waits */
		set_field(0, FIELD_NAMESIZE, 0 - back);
		archive[HEADER_SIZE - 1 - back] = 0;
		assert_int_equal(walk(archive_size, &entries), -1);
		assert_int_equal(entries, 0);
		make_archive(NULL);
	}
	for (u32 delta = 1; delta < 8; delta++) { /* data up to and over the very end */
		u64 start = archive_size;

		add("last", 0100644, "12345678", "%08x");
		set_field(start, FIELD_FILESIZE, 8 + delta);
		memmove(archive, archive + start, archive_size - start);
		assert_int_equal(walk(archive_size - start, &entries), -1);
		assert_int_equal(entries, 0);
		make_archive(NULL);
	}
}

/* Fails if a name without its NUL is given out as text. */
static void names(void **state)
{
	u32 entries;

	set_field(0, FIELD_NAMESIZE, 0);
	assert_int_equal(walk(archive_size, &entries), -1);
	set_field(0, FIELD_NAMESIZE, 3); /* "bin" without the end */
	assert_int_equal(walk(archive_size, &entries), -1);
}

/* Fails if another format, or a header with a wrong digit, is read as this one. */
static void bad_headers(void **state)
{
	static const char wrong[] = { ' ', 'g', 'G', '/', ':', '@', '`', '-', 'x', '\0', '\xff' };
	static const u32 used[] = { FIELD_MODE, FIELD_FILESIZE, FIELD_NAMESIZE };
	u32 entries;

	for (u32 i = 0; i < 6; i++) {
		archive[i] ^= 1;
		assert_int_equal(walk(archive_size, &entries), -1);
		make_archive(NULL);
	}
	for (u32 f = 0; f < ARRAY_SIZE(used); f++)
		for (u32 digit = 0; digit < 8; digit++)
			for (u32 w = 0; w < sizeof(wrong); w++) {
				archive[6 + 8 * used[f] + digit] = (u8)wrong[w];
				assert_int_equal(walk(archive_size, &entries), -1);
				make_archive(NULL);
			}
}

/* Fails if an empty archive, or an end without trailer, is an error; or if anything behind the
 * trailer counts. */
static void ends(void **state)
{
	u64 whole = archive_size;
	u32 entries;

	assert_int_equal(walk(0, &entries), 0);
	assert_int_equal(walk(whole, &entries), 0);
	assert_int_equal(entries, ARRAY_SIZE(members));
	memset(archive + whole, '#', 512);
	assert_int_equal(walk(whole + 512, &entries), 0);
	assert_int_equal(entries, ARRAY_SIZE(members));
}

/* Fails on any damage that leads outside the archive or round in circles. */
static void mutated(void **state)
{
	static const char digits[] = "0123456789abcdefF\0 ";
	struct rng rng = { 70701 };
	u32 fine = 0;

	for (u32 round = 0; round < 100000; round++) {
		u64 size = rng_below(&rng, 4) ? archive_size : rng_below(&rng, archive_size);
		u32 changes = (u32)rng_below(&rng, 4) + 1, entries;

		while (changes--) {
			u8 *at = archive + rng_below(&rng, archive_size);

			*at = rng_below(&rng, 2) ? (u8)digits[rng_below(&rng, sizeof(digits))]
						 : (u8)rng_next(&rng);
		}
		fine += !walk(size, &entries);
		make_archive(NULL);
	}
	assert_in_range(fine, 1000, 99000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_archive, make_archive),
		cmocka_unit_test_setup(truncated, make_archive),
		cmocka_unit_test_setup(hostile_sizes, make_archive),
		cmocka_unit_test_setup(names, make_archive),
		cmocka_unit_test_setup(bad_headers, make_archive),
		cmocka_unit_test_setup(ends, make_archive),
		cmocka_unit_test_setup(mutated, make_archive),
	};

	return cmocka_run_group_tests_name("cpio", tests, NULL, NULL);
}
