/*
 * cpio "newc": a header of 110 ASCII characters (magic 070701, thirteen fields of eight hex digits), the
 * name, the data, each padded to four bytes. Everything is checked against the archive's size: the image
 * comes from outside.
 */
#include "kernel/cpio.h"
#include "kernel/string.h"

#define HEADER_SIZE 110
#define MAGIC "070701"
#define FIELD_MODE 1
#define FIELD_FILESIZE 6
#define FIELD_NAMESIZE 11

static bool hex_field(const u8 *header, u32 index, u32 *value)
{
	const u8 *text = header + 6 + 8 * index;

	*value = 0;
	for (u32 i = 0; i < 8; i++) {
		u8 c = text[i];
		u32 digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10u;
		else
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

int cpio_next(const u8 *archive, u64 size, u64 *offset, struct cpio_entry *entry)
{
	const u8 *header = archive + *offset;
	u64 left, name_end, data_end;
	u32 namesize, filesize;

	if (*offset >= size)
		return 0;
	left = size - *offset;
	if (left < HEADER_SIZE || memcmp(header, MAGIC, 6) || !hex_field(header, FIELD_MODE, &entry->mode) ||
	    !hex_field(header, FIELD_FILESIZE, &filesize) || !hex_field(header, FIELD_NAMESIZE, &namesize))
		return -1;
	name_end = HEADER_SIZE + (u64)namesize;
	if (!namesize || name_end > left || header[name_end - 1])
		return -1;
	name_end = ALIGN_UP(name_end, 4);
	data_end = name_end + filesize;
	if (data_end > left)
		return -1;
	entry->name = (const char *)header + HEADER_SIZE;
	entry->data = header + name_end;
	entry->size = filesize;
	*offset += ALIGN_UP(data_end, 4);
	return strcmp(entry->name, "TRAILER!!!") ? 1 : 0;
}
