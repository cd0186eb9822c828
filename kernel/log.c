/*
 * The log: every message goes to COM2, and to the console unless `log=com2` was given. One lock keeps
 * lines whole; the CPU that has the last word takes it for good. Nothing here allocates or sleeps.
 */
#include "kernel/format.h"
#include "kernel/log.h"
#include "kernel/screen.h"
#include "kernel/serial.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "kernel/vga.h"

static struct spinlock lock;
static bool console_has_log = true;
static bool line_cut; /* the last line was interrupted for good */

#define NO_CPU (~0u)
#define PATIENCE 100000
static volatile u32 last_speaker = NO_CPU;

static u64 output_lock(void)
{
	return last_speaker == this_cpu->id ? irq_save() : spin_lock_irq(&lock);
}

static void output_unlock(u64 flags)
{
	if (last_speaker == this_cpu->id)
		irq_restore(flags);
	else
		spin_unlock_irq(&lock, flags);
}

static void console_out(const char *text, size_t n)
{
	serial_write(COM1, text, n);
	if (console_has_log)
		vga_write(text, n);
}

void console_write(const char *text, size_t n)
{
	u64 flags = output_lock();

	console_out(text, n);
	output_unlock(flags);
}

void klog(const char *fmt, ...)
{
	char line[256];
	u64 us = clock_ns() / 1000, flags;
	va_list args;
	int n = format_text(line, sizeof(line), "[%3lu.%06lu] ", (us / 1000000),
			    (us % 1000000));

	va_start(args, fmt);
	n += format_text_va(line + n, sizeof(line) - (size_t)n - 2, fmt, args);
	va_end(args);
	n = MIN(n, (int)sizeof(line) - 3);

	flags = output_lock();
	if (line_cut)
		serial_write(COM2, "\n", 1);
	line_cut = false;
	line[n] = '\n';
	serial_write(COM2, line, (size_t)n + 1);
	if (console_has_log) {
		line[n] = '\r';
		line[n + 1] = '\n';
		console_out(line, (size_t)n + 2);
	}
	output_unlock(flags);
}

void log_leave_console(void)
{
	console_has_log = false;
}

void log_take_over(void)
{
	if (last_speaker == this_cpu->id)
		return;
	line_cut = true;
	for (u32 i = 0; i < PATIENCE && line_cut; i++) {
		line_cut = !try_set_bit0(&lock.locked);
		cpu_relax();
	}
	last_speaker = this_cpu->id;
	screen_give_back();
}
