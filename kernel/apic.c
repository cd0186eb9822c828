/*
 * The interrupt controllers in xAPIC mode (manual, volume 3, chapter 11). One register access each; what
 * the interrupts mean is decided in traps.c.
 */
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/traps.h"

enum local_register {
	LAPIC_ID = 0x20, LAPIC_TPR = 0x80, LAPIC_EOI = 0xb0, LAPIC_SPURIOUS = 0xf0, LAPIC_ICR_LOW = 0x300,
	LAPIC_ICR_HIGH = 0x310, LAPIC_TIMER = 0x320, LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390, LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE BIT(8)
#define TIMER_PERIODIC BIT(17)
#define DIVIDE_BY_16 3

#define ICR_FIXED 0x000
#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_PENDING BIT(12)
#define ICR_ASSERT BIT(14)

#define IOAPIC_SELECT 0x00
#define IOAPIC_WINDOW 0x10
#define IOAPIC_REDIRECTION 0x10

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

static volatile char *local, *io;

static u32 local_read(enum local_register reg)
{
	return *(volatile u32 *)(local + reg);
}

static void local_write(enum local_register reg, u32 value)
{
	*(volatile u32 *)(local + reg) = value;
}

static void io_write(u32 reg, u32 value)
{
	*(volatile u32 *)(io + IOAPIC_SELECT) = reg;
	*(volatile u32 *)(io + IOAPIC_WINDOW) = value;
}

void apic_init(void)
{
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
	local = map_device(acpi.local_apic, PAGE_SIZE);
	if (acpi.io_apic)
		io = map_device(acpi.io_apic, PAGE_SIZE);
	else
		klog("apic: no I/O APIC, no console input");
}

void apic_init_cpu(void)
{
	local_write(LAPIC_TPR, 0);
	local_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

void apic_end_of_interrupt(void)
{
	local_write(LAPIC_EOI, 0);
}

u32 apic_id(void)
{
	return local_read(LAPIC_ID) >> 24;
}

/* Two writes make one message: an interrupt that sends one of its own must not come between. */
static void send(u32 id, u32 message)
{
	u64 flags = irq_save();

	while (local_read(LAPIC_ICR_LOW) & ICR_PENDING)
		cpu_relax();
	local_write(LAPIC_ICR_HIGH, id << 24);
	local_write(LAPIC_ICR_LOW, ICR_ASSERT | message);
	irq_restore(flags);
}

void apic_send_interrupt(u32 id, u8 vector)
{
	send(id, ICR_FIXED | vector);
}

void apic_send_nmi(u32 id)
{
	send(id, ICR_NMI);
}

void apic_send_init(u32 id)
{
	send(id, ICR_INIT);
}

void apic_send_startup(u32 id, u64 address)
{
	send(id, ICR_STARTUP | (u32)(address / PAGE_SIZE));
}

void apic_route_isa(u32 irq, u8 vector)
{
	u32 pin = acpi.isa_gsi[irq] - acpi.io_apic_first_gsi;

	if (!io)
		return;
	io_write(IOAPIC_REDIRECTION + 2 * pin + 1, apic_id() << 24);
	io_write(IOAPIC_REDIRECTION + 2 * pin, vector); /* fixed, physical, edge, active high */
}

void apic_timer_start(u32 count, bool periodic, u8 vector)
{
	local_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
	local_write(LAPIC_TIMER, vector | (periodic ? TIMER_PERIODIC : 0));
	local_write(LAPIC_TIMER_INITIAL, count);
}

u32 apic_timer_count(void)
{
	return local_read(LAPIC_TIMER_CURRENT);
}
