/*
 * 16550 UART driver: polled output, interrupt-driven input (the handler is in tty.c). Output must work
 * in every context, panic included, so it takes no lock; callers that want whole lines hold their own.
 */
#include "kernel/serial.h"
#include "kernel/insn.h"

enum { DATA, IER, FCR, LCR, MCR, LSR };

#define IER_RX 0x01
#define FCR_ENABLE_CLEAR 0xc7 /* interrupt at 14 of 16 bytes */
#define LCR_DLAB 0x80
#define LCR_8N1 0x03
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY 0x20
#define LSR_ALL_SENT 0x40
#define FIFO_SIZE 16

static const u16 base[SERIAL_PORTS] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
static bool present[SERIAL_PORTS];

void serial_init(void)
{
	for (int i = 0; i < SERIAL_PORTS; i++) {
		present[i] = inb(base[i] + LSR) != 0xff;
		if (!present[i])
			continue;
		outb(base[i] + IER, 0);
		outb(base[i] + LCR, LCR_DLAB);
		outb(base[i] + DATA, 1); /* divisor 1: 115200 baud */
		outb(base[i] + IER, 0);
		outb(base[i] + LCR, LCR_8N1);
		outb(base[i] + FCR, FCR_ENABLE_CLEAR);
		outb(base[i] + MCR, MCR_DTR_RTS_OUT2);
	}
}

void serial_write(enum serial_port port, const char *text, size_t n)
{
	if (!present[port])
		return;
	while (n) {
		while (!(inb(base[port] + LSR) & LSR_THR_EMPTY))
			cpu_relax();
		for (int room = FIFO_SIZE; room && n; room--, n--)
			outb(base[port] + DATA, (u8)*text++);
	}
}

void serial_drain(void)
{
	for (int i = 0; i < SERIAL_PORTS; i++)
		while (present[i] && !(inb(base[i] + LSR) & LSR_ALL_SENT))
			cpu_relax();
}

bool serial_read(enum serial_port port, u8 *byte)
{
	if (!present[port] || !(inb(base[port] + LSR) & LSR_DATA_READY))
		return false;
	*byte = inb(base[port] + DATA);
	return true;
}

void serial_rx_irq(enum serial_port port, bool on)
{
	if (present[port])
		outb(base[port] + IER, on ? IER_RX : 0);
}
