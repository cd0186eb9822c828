/* The little that Tarry takes from ACPI: the interrupt controllers (MADT). See acpi.c. */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include "kernel/cpu.h"

struct acpi_info {
	u64 local_apic, io_apic; /* physical addresses; io_apic is 0 if there is none */
	u32 io_apic_first_gsi;
	u32 isa_gsi[16];	 /* where each ISA interrupt arrives */
	u32 ncpus;
	u8 apic_ids[MAX_CPUS]; /* of the CPUs that can be used */
};
extern struct acpi_info acpi;

/* Reads the MADT; without one, acpi keeps the PC's standard addresses and one CPU. */
void acpi_init(void);

#endif
