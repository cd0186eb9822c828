/* Local APIC and I/O APIC; see apic.c. */
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include "kernel/types.h"

/* Maps the controllers found by acpi_init and turns the old PIC off. */
void apic_init(void);
/* Enables the running CPU's local APIC. */
void apic_init_cpu(void);
void apic_end_of_interrupt(void);
u32 apic_id(void);

/* Routes an ISA interrupt to the running CPU as that vector. */
void apic_route_isa(u32 irq, u8 vector);

/* The local timer: counts down from the value at the APIC's own frequency, once or again and again. */
void apic_timer_start(u32 count, bool periodic, u8 vector);
u32 apic_timer_count(void);

#endif
