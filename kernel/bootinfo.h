/* What the boot loader said (Multiboot 2, section 3.6), copied to where it can't be overwritten. */
#ifndef KERNEL_BOOTINFO_H
#define KERNEL_BOOTINFO_H

#include "kernel/types.h"

struct memory_range {
	u64 start, end; /* physical, end exclusive */
};

struct boot_module {
	char name[16];
	struct memory_range range;
};

#define MAX_RANGES 32
#define MAX_MODULES 4

struct bootinfo {
	char cmdline[1024];
	u32 nranges, nmodules;
	struct memory_range ram[MAX_RANGES];
	struct boot_module modules[MAX_MODULES];
	u64 rsdt; /* physical address of ACPI's root table, or 0 */
};

extern struct bootinfo bootinfo;

/* Reads the boot information at physical address pa. False if it is not Multiboot 2's. */
bool bootinfo_parse(u32 magic, u64 pa);

/* Module with that name, or NULL. */
const struct boot_module *boot_module(const char *name);

/* Value of key= on the command line into buf; an option without `=` gives "". False if absent. */
bool boot_option(const char *key, char *buf, size_t size);
bool boot_flag(const char *key);
u64 boot_number(const char *key, u64 otherwise);
bool boot_option_is(const char *key, const char *value);

/* Logs a warning for each word of the command line that no one understands. */
void bootinfo_check_options(void);

#endif
