/*
 * Finds the MADT (ACPI 5.2.12) through the root table that the boot loader pointed to, and lists CPUs and
 * the I/O APIC. Trusts no length: an entry shorter than its type, or beyond its table, ends the search.
 */
#include "kernel/acpi.h"
#include "kernel/bootinfo.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/string.h"

struct table {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __attribute__((packed));

struct madt {
	struct table table;
	u32 local_apic, flags;
	u8 entries[];
} __attribute__((packed));

enum { MADT_LOCAL_APIC = 0, MADT_IO_APIC = 1, MADT_OVERRIDE = 2 };

#define LOCAL_APIC_ENABLED 1

struct acpi_info acpi = { .local_apic = 0xfee00000, .ncpus = 1 };

static u32 read32(const u8 *p)
{
	u32 value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static void parse_entry(const u8 *entry, u8 length)
{
	switch (entry[0]) {
	case MADT_LOCAL_APIC:
		if (length >= 8 && read32(entry + 4) & LOCAL_APIC_ENABLED && acpi.ncpus < MAX_CPUS)
			acpi.apic_ids[acpi.ncpus++] = entry[3];
		break;
	case MADT_IO_APIC:
		if (length >= 12 && !acpi.io_apic) {
			acpi.io_apic = read32(entry + 4);
			acpi.io_apic_first_gsi = read32(entry + 8);
		}
		break;
	case MADT_OVERRIDE:
		if (length >= 10 && entry[3] < ARRAY_SIZE(acpi.isa_gsi))
			acpi.isa_gsi[entry[3]] = read32(entry + 4);
		break;
	}
}

static void parse_madt(const struct madt *madt)
{
	const u8 *end = (const u8 *)madt + madt->table.length;

	acpi.local_apic = madt->local_apic;
	acpi.ncpus = 0;
	for (const u8 *entry = madt->entries; entry + 2 <= end && entry[1] >= 2; entry += entry[1])
		if (entry + entry[1] <= end)
			parse_entry(entry, entry[1]);
}

void acpi_init(void)
{
	const struct table *rsdt = phys_to_virt(bootinfo.rsdt);
	const u8 *pointers = (const u8 *)(rsdt + 1);

	for (u32 i = 0; i < ARRAY_SIZE(acpi.isa_gsi); i++)
		acpi.isa_gsi[i] = i;
	if (!bootinfo.rsdt || memcmp(rsdt->signature, "RSDT", 4)) {
		klog("acpi: no root table, assuming one CPU");
		return;
	}
	for (; pointers + 4 <= (const u8 *)rsdt + rsdt->length; pointers += 4) {
		const struct table *table = phys_to_virt(read32(pointers));

		if (!memcmp(table->signature, "APIC", 4))
			parse_madt((const struct madt *)table);
	}
}
