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

/* Messages to the CPU with that APIC id. Any context. */
void apic_send_interrupt(u32 id, u8 vector);
void apic_send_nmi(u32 id);
/* Reset, and the start in real mode at a page below 1 MiB that a reset CPU waits for. */
void apic_send_init(u32 id);
void apic_send_startup(u32 id, u64 address);

/* Routes an ISA interrupt to the running CPU as that vector. */
void apic_route_isa(u32 irq, u8 vector);

/* The local timer: counts down from the value at the APIC's own frequency, once or again and again. */
void apic_timer_start(u32 count, bool periodic, u8 vector);
u32 apic_timer_count(void);

#endif
