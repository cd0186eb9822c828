/*
 * Parser of the Multiboot 2 information and of the kernel command line. Runs before any memory is
 * managed: copies what it keeps into static storage and must not keep pointers into the original.
 */
#include "kernel/bootinfo.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/string.h"

#define MULTIBOOT2_BOOT_MAGIC 0x36d76289

enum tag_type { TAG_END = 0, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MMAP = 6, TAG_ACPI_OLD = 14, TAG_ACPI_NEW = 15 };

struct tag {
	u32 type, size;
};

struct tag_module {
	struct tag tag;
	u32 start, end;
	char name[];
};

struct mmap_entry {
	u64 base, length;
	u32 type, reserved;
};

struct tag_mmap {
	struct tag tag;
	u32 entry_size, entry_version;
	struct mmap_entry entries[];
};

#define MMAP_AVAILABLE 1

/* ACPI's root pointer, of which GRUB hands over a copy (ACPI 5.2.5.3). */
struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
} __attribute__((packed));

struct bootinfo bootinfo;

static void add_module(const struct tag_module *tag)
{
	struct boot_module *module = &bootinfo.modules[bootinfo.nmodules];

	if (bootinfo.nmodules == MAX_MODULES)
		return;
	bootinfo.nmodules++;
	copy_string(module->name, tag->name, sizeof(module->name));
	module->range.start = tag->start;
	module->range.end = tag->end;
}

static void add_ram(const struct tag_mmap *tag)
{
	u32 n = (tag->tag.size - (u32)sizeof(*tag)) / tag->entry_size;

	for (u32 i = 0; i < n && bootinfo.nranges < MAX_RANGES; i++) {
		const struct mmap_entry *entry = (const void *)((const char *)tag->entries + i * tag->entry_size);
		struct memory_range *range = &bootinfo.ram[bootinfo.nranges];

		if (entry->type != MMAP_AVAILABLE)
			continue;
		range->start = ALIGN_UP(entry->base, PAGE_SIZE);
		range->end = ALIGN_DOWN(entry->base + entry->length, PAGE_SIZE);
		if (range->start < range->end)
			bootinfo.nranges++;
	}
}

bool bootinfo_parse(u32 magic, u64 pa)
{
	const struct tag *tag = phys_to_virt(pa + 8);

	if (magic != MULTIBOOT2_BOOT_MAGIC)
		return false;
	for (; tag->type != TAG_END; tag = (const void *)((const char *)tag + ALIGN_UP(tag->size, 8))) {
		switch (tag->type) {
		case TAG_CMDLINE:
			copy_string(bootinfo.cmdline, (const char *)(tag + 1), sizeof(bootinfo.cmdline));
			break;
		case TAG_MODULE:
			add_module((const void *)tag);
			break;
		case TAG_MMAP:
			add_ram((const void *)tag);
			break;
		case TAG_ACPI_OLD:
		case TAG_ACPI_NEW:
			bootinfo.rsdt = ((const struct rsdp *)(tag + 1))->rsdt;
			break;
		}
	}
	return true;
}

const struct boot_module *boot_module(const char *name)
{
	for (u32 i = 0; i < bootinfo.nmodules; i++)
		if (!strcmp(bootinfo.modules[i].name, name))
			return &bootinfo.modules[i];
	return NULL;
}

/* Start of the next word at or after s, its length in *n; NULL at the end. */
static const char *next_word(const char *s, size_t *n)
{
	while (*s == ' ')
		s++;
	for (*n = 0; s[*n] && s[*n] != ' ';)
		++*n;
	return *n ? s : NULL;
}

bool boot_option(const char *key, char *buf, size_t size)
{
	size_t n, keylen = strlen(key);

	for (const char *word = bootinfo.cmdline; (word = next_word(word, &n)); word += n) {
		if (n < keylen || strncmp(word, key, keylen))
			continue;
		if (n != keylen && word[keylen] != '=')
			continue;
		n -= MIN(n, keylen + 1);
		copy_string(buf, word + keylen + 1, MIN(n + 1, size));
		if (!n)
			buf[0] = '\0';
		return true;
	}
	return false;
}

bool boot_flag(const char *key)
{
	char value[8];

	return boot_option(key, value, sizeof(value));
}

bool boot_option_is(const char *key, const char *value)
{
	char buf[32];

	return boot_option(key, buf, sizeof(buf)) && !strcmp(buf, value);
}

u64 boot_number(const char *key, u64 otherwise)
{
	char buf[24];
	const char *end;
	u64 value;

	if (!boot_option(key, buf, sizeof(buf)))
		return otherwise;
	value = parse_number(buf, &end);
	if (*end || end == buf) {
		klog("command line: %s=%s is not a number, using %lu", key, buf, otherwise);
		return otherwise;
	}
	return value;
}

void bootinfo_check_options(void)
{
	static const char *const known[] = { "stdin", "stderr", "log", "copies", "debug",
					     "fpu", "xstate", "intonly", "fpbuf", "nopku", "trace", "stats", "view", "maxcpus" };
	size_t n;

	for (const char *word = bootinfo.cmdline; (word = next_word(word, &n)); word += n) {
		bool ok = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			size_t len = strlen(known[i]);
			ok |= n >= len && !strncmp(word, known[i], len) && (n == len || word[len] == '=');
		}
		if (!ok)
			klog("command line: unknown option %.*s ignored", (int)n, word);
	}
}
