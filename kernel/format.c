/*
 * printf-style formatting for the log: %d %i %u %x %lx %lx %zu %c %s %p %%, with width, zero padding,
 * left alignment and a precision (a number or *) for %s. No floating point: the kernel has none. Pure code, tested on
 * the host. Divides unsigned only (Bochs 3.1 gets a signed 64-bit division wrong).
 */
#include "kernel/format.h"

struct sink {
	char *buf;
	size_t size, length;
};

static void put(struct sink *s, char c)
{
	if (s->length + 1 < s->size)
		s->buf[s->length] = c;
	s->length++;
}

static void put_padded(struct sink *s, const char *text, int len, int width, bool left, char pad)
{
	for (int i = len; !left && i < width; i++)
		put(s, pad);
	for (int i = 0; i < len; i++)
		put(s, text[i]);
	for (int i = len; left && i < width; i++)
		put(s, ' ');
}

static int digits_of(u64 value, u32 base, char *end)
{
	int n = 0;

	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
		n++;
	} while (value);
	return n;
}

static void put_number(struct sink *s, u64 value, bool is_signed, u32 base, int width, bool left, bool zero)
{
	char text[24], *end = text + sizeof(text);
	bool minus = is_signed && (s64)value < 0;
	int n = digits_of(minus ? -value : value, base, end);

	if (minus && zero) {
		put(s, '-');
		width--;
	} else if (minus) {
		*(end - ++n) = '-';
	}
	put_padded(s, end - n, n, width, left, zero && !left ? '0' : ' ');
}

static u64 fetch(va_list *args, int longs, bool is_signed)
{
	if (longs)
		return va_arg(*args, u64);
	return is_signed ? (u64)(s64)va_arg(*args, int) : va_arg(*args, unsigned);
}

int format_text_va(char *buf, size_t size, const char *fmt, va_list args_in)
{
	struct sink s = { buf, size, 0 };
	va_list args;

	va_copy(args, args_in);
	for (; *fmt; fmt++) {
		bool left = false, zero = false;
		int width = 0, precision = -1, longs = 0;

		if (*fmt != '%') {
			put(&s, *fmt);
			continue;
		}
		for (fmt++; *fmt == '-' || *fmt == '0'; fmt++)
			*(*fmt == '-' ? &left : &zero) = true;
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		if (fmt[0] == '.' && fmt[1] == '*') {
			precision = va_arg(args, int);
			fmt += 2;
		} else if (*fmt == '.') {
			for (precision = 0, fmt++; *fmt >= '0' && *fmt <= '9'; fmt++)
				precision = precision * 10 + *fmt - '0';
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			longs++;

		switch (*fmt) {
		case 'd':
		case 'i':
			put_number(&s, fetch(&args, longs, true), true, 10, width, left, zero);
			break;
		case 'u':
			put_number(&s, fetch(&args, longs, false), false, 10, width, left, zero);
			break;
		case 'x':
			put_number(&s, fetch(&args, longs, false), false, 16, width, left, zero);
			break;
		case 'p':
			put_number(&s, (u64)va_arg(args, void *), false, 16, 16, false, true);
			break;
		case 'c': {
			char c = (char)va_arg(args, int);
			put_padded(&s, &c, 1, width, left, ' ');
			break;
		}
		case 's': {
			const char *text = va_arg(args, const char *);
			int n = 0;
			if (!text)
				text = "(null)";
			while ((precision < 0 || n < precision) && text[n])
				n++;
			put_padded(&s, text, n, width, left, ' ');
			break;
		}
		case '\0':
			fmt--;
			break;
		default:
			put(&s, *fmt);
		}
	}
	va_end(args);
	if (size)
		buf[MIN(s.length, size - 1)] = '\0';
	return (int)s.length;
}

int format_text(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = format_text_va(buf, size, fmt, args);
	va_end(args);
	return n;
}
