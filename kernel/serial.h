/* The four 16550 UARTs; see serial.c. */
#ifndef KERNEL_SERIAL_H
#define KERNEL_SERIAL_H

#include "kernel/types.h"

enum serial_port { COM1, COM2, COM3, COM4, SERIAL_PORTS };

/* Programs every UART that exists: 115200 baud, 8 data bits, FIFO on, interrupts off. */
void serial_init(void);

/* Sends bytes, waiting for the transmitter. Nothing happens if the port does not exist. Any context. */
void serial_write(enum serial_port port, const char *text, size_t n);

/* Waits until every port has sent all it was given: before the machine ends. */
void serial_drain(void);

/* Takes one received byte; false if there is none. */
bool serial_read(enum serial_port port, u8 *byte);

/* Received-data interrupt of a port on or off (COM1: IRQ 4). */
void serial_rx_irq(enum serial_port port, bool on);

#endif
