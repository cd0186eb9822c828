/*
 * The terminal: COM1 (and VGA) behind Linux's termios. In mode tty it edits lines, echoes, turns ^C into
 * SIGINT for the foreground group; in mode pipe (--exec) bytes pass as they are, with an escape for the end
 * of input; in mode null there is no input. When the ring is full the bytes stay in the UART, whose own flow
 * control holds the sender: input is never lost.
 */
#include "kernel/apic.h"
#include "kernel/bootinfo.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/log.h"
#include "kernel/screen.h"
#include "kernel/serial.h"
#include "kernel/string.h"
#include "kernel/traps.h"
#include "kernel/tty.h"
#include "kernel/uaccess.h"
#include "sched/signal.h"

#define COM1_IRQ 4
#define RING_SIZE 1024
#define LINE_SIZE 256
#define CHUNK 64
#define END_OF_FILE 0x100 /* in the ring: the reader gets 0 bytes */
#define DLE 0x10

#define ICRNL 0x100
#define OPOST 0x1
#define ONLCR 0x4
#define ISIG 0x1
#define ICANON 0x2
#define ECHO 0x8

#define TCGETS 0x5401
#define TCSETS 0x5402
#define TCSETSF 0x5404
#define TCSBRK 0x5409
#define TIOCGPGRP 0x540f
#define TIOCSPGRP 0x5410
#define TIOCGWINSZ 0x5413

enum { VINTR, VQUIT, VERASE, VKILL, VEOF };

struct termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[19];
};

struct winsize {
	u16 rows, columns, xpixel, ypixel;
};

static enum { MODE_TTY, MODE_PIPE, MODE_NULL } mode;
static bool stderr_separate;
static struct spinlock stderr_lock; /* one writer at a time in its UART's queue */
static struct termios termios = {
	.iflag = ICRNL, .oflag = OPOST | ONLCR, .cflag = 0xbf, .lflag = ISIG | ICANON | ECHO,
	.cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [6] = 1 },
};
static int foreground; /* process group */

/* All below is shared with the interrupt handler. */
static struct spinlock lock;
static u16 ring[RING_SIZE];
static u32 head, tail; /* written, read */
static char line[LINE_SIZE];
static u32 line_length;
static bool escaped;
static struct wait_queue readers;

static void ring_put(u16 value)
{
	ring[head++ % RING_SIZE] = value;
}

static bool ring_has_room(void)
{
	return RING_SIZE - (head - tail) > LINE_SIZE + 1;
}

static void echo(const char *text, size_t n)
{
	if (termios.lflag & ECHO)
		console_write(text, n);
}

static void erase_one(void)
{
	if (!line_length)
		return;
	line_length--;
	echo("\b \b", 3);
}

static void commit_line(u16 end)
{
	for (u32 i = 0; i < line_length; i++)
		ring_put((u8)line[i]);
	line_length = 0;
	if (end)
		ring_put(end);
}

static void edit_line(char c)
{
	if (c == (char)termios.cc[VERASE] || c == '\b') {
		erase_one();
	} else if (c == (char)termios.cc[VKILL]) {
		while (line_length)
			erase_one();
	} else if (c == (char)termios.cc[VEOF]) {
		commit_line(line_length ? 0 : END_OF_FILE);
	} else if (c == '\n') {
		echo("\r\n", 2);
		commit_line('\n');
	} else if (line_length < LINE_SIZE) {
		line[line_length++] = c;
		echo(&c, 1);
	}
}

static void tty_input(u8 byte)
{
	char c = (char)byte;

	if (c == '\r' && termios.iflag & ICRNL)
		c = '\n';
	if (termios.lflag & ISIG && c == (char)termios.cc[VINTR]) {
		echo("^C\r\n", 4);
		line_length = 0;
		signal_group(foreground, SIGINT);
	} else if (termios.lflag & ICANON) {
		edit_line(c);
	} else {
		echo(&c, 1);
		ring_put((u8)c);
	}
}

/* DLE DLE stands for one DLE, DLE and anything else for the end of the input. */
static void pipe_input(u8 byte)
{
	if (escaped)
		ring_put(byte == DLE ? DLE : END_OF_FILE);
	else if (byte != DLE)
		ring_put(byte);
	escaped = !escaped && byte == DLE;
}

/* With the lock: takes what the UART has and the ring can hold; the rest waits for the next read. */
static void drain_uart(void)
{
	u8 byte;

	while (ring_has_room() && serial_read(COM1, &byte)) {
		if (mode == MODE_TTY && !screen_key(byte))
			tty_input(byte);
		else
			pipe_input(byte);
	}
	serial_rx_irq(COM1, ring_has_room());
}

void tty_interrupt(void)
{
	u64 flags = spin_lock_irq(&lock);

	drain_uart();
	spin_unlock_irq(&lock, flags);
	wake_all(&readers);
}

/* Bytes for one read: in canonical mode up to a line's end. An end of file counts as nothing read, once. */
static size_t take(char *buf, size_t n, bool *end)
{
	u64 flags = spin_lock_irq(&lock);
	size_t done = 0;

	while (done < n && tail != head) {
		u16 value = ring[tail % RING_SIZE];

		if (value == END_OF_FILE) {
			*end = !done;
			tail += !done && mode == MODE_TTY; /* the end of a pipe is for good */
			break;
		}
		tail++;
		buf[done++] = (char)value;
		if (value == '\n' && mode == MODE_TTY && termios.lflag & ICANON)
			break;
	}
	drain_uart();
	spin_unlock_irq(&lock, flags);
	return done;
}

static long tty_read(struct file *file, u64 buf, size_t n)
{
	char chunk[CHUNK];
	bool end = false;
	size_t done;

	if (!n || mode == MODE_NULL)
		return 0;
	while (!(done = take(chunk, MIN(n, CHUNK), &end)) && !end) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event(&readers, head != tail))
			return -ERESTARTSYS;
	}
	return copy_to_user(buf, chunk, done) ? -EFAULT : (long)done;
}

static void put_translated(const char *text, size_t n)
{
	size_t start = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] != '\n')
			continue;
		console_write(text + start, i - start);
		console_write("\r\n", 2);
		start = i + 1;
	}
	console_write(text + start, n - start);
}

static void put(const struct file *file, const char *text, size_t n)
{
	if (file->object && stderr_separate) {
		spin_lock(&stderr_lock);
		serial_write(COM3, text, n);
		spin_unlock(&stderr_lock);
	} else if (mode == MODE_TTY && (termios.oflag & (OPOST | ONLCR)) == (OPOST | ONLCR)) {
		put_translated(text, n);
	} else {
		console_write(text, n);
	}
}

static long tty_write(struct file *file, u64 buf, size_t n)
{
	char chunk[CHUNK];
	size_t done = 0;

	while (done < n) {
		size_t part = MIN(n - done, CHUNK), left = copy_from_user_partial(chunk, buf + done, part);

		put(file, chunk, part - left);
		done += part - left;
		if (left)
			break;
	}
	return done || !n ? (long)done : -EFAULT;
}

static long set_termios(u64 arg)
{
	struct termios new;
	u64 flags;

	if (copy_from_user(&new, arg, sizeof(new)))
		return -EFAULT;
	flags = spin_lock_irq(&lock);
	if (termios.lflag & ICANON && !(new.lflag & ICANON))
		commit_line(0);
	termios = new;
	spin_unlock_irq(&lock, flags);
	return 0;
}

static long get_termios(u64 arg)
{
	u64 flags = spin_lock_irq(&lock);
	struct termios copy = termios;

	spin_unlock_irq(&lock, flags);
	return copy_to_user(arg, &copy, sizeof(copy));
}

static long set_foreground(u64 arg)
{
	int pgid;

	if (copy_from_user(&pgid, arg, sizeof(pgid)))
		return -EFAULT;
	foreground = pgid;
	return 0;
}

static long tty_ioctl(struct file *file, u64 request, u64 arg)
{
	static const struct winsize size = { .rows = 25, .columns = 80 };

	(void)file;
	switch (request) {
	case TCGETS:
		return get_termios(arg);
	case TCSETS ... TCSETSF:
		return set_termios(arg);
	case TCSBRK:
		return 0;
	case TIOCGWINSZ:
		return copy_to_user(arg, &size, sizeof(size));
	case TIOCGPGRP:
		return copy_to_user(arg, &foreground, sizeof(foreground));
	case TIOCSPGRP:
		return set_foreground(arg);
	default:
		return -ENOTTY;
	}
}

static void tty_stat(struct file *file, struct stat *stat)
{
	(void)file;
	stat->mode = S_IFCHR | 0620;
	stat->rdev = 0x501; /* /dev/console */
}

static const struct file_ops tty_ops = {
	.read = tty_read, .write = tty_write, .ioctl = tty_ioctl, .stat = tty_stat,
};

struct file *tty_open(enum tty_channel channel)
{
	return file_create(&tty_ops, O_RDWR, channel == TTY_STDERR ? &stderr_separate : NULL);
}

void tty_init(void)
{
	char value[8] = "tty";

	wait_queue_init(&readers);
	boot_option("stdin", value, sizeof(value));
	if (!strcmp(value, "pipe"))
		mode = MODE_PIPE;
	else if (!strcmp(value, "null"))
		mode = MODE_NULL;
	else if (strcmp(value, "tty"))
		klog("command line: stdin=%s is not tty, pipe or null; using tty", value);
	if (mode != MODE_TTY)
		termios.iflag = termios.oflag = termios.lflag = 0; /* so a program sees that nobody types */
	stderr_separate = boot_option_is("stderr", "com3");
	apic_route_isa(COM1_IRQ, VECTOR_COM1);
	serial_rx_irq(COM1, true);
}
