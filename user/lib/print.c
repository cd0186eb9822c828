/*
 * print.c - the printf family: %d %i %u %x %X %p %c %s %f %%, flags - and 0, width,
 * precision (also *), lengths l, ll and z. One call is one write. It must never divide a
 * signed 64-bit number: Bochs 3.1 as Debian builds it gets idivq wrong.
 */
#include <lib.h>

struct sink {			/* where characters go: a buffer, flushed to fd if there is one */
	char *buf;
	size_t size, used;	/* used counts what was wanted, even beyond size */
	int fd;
};

struct spec {
	int left, zero, width, precision, longs;
};

static void flush(struct sink *out)
{
	write_all(out->fd, out->buf, out->used);
	out->used = 0;
}

static void put(struct sink *out, char c)
{
	if (out->fd >= 0 && out->used == out->size)
		flush(out);
	if (out->used < out->size)
		out->buf[out->used] = c;
	out->used++;
}

static void put_padded(struct sink *out, const struct spec *s, const char *text, size_t n)
{
	size_t width = s->width > 0 ? (size_t)s->width : 0;
	size_t pad = width > n ? width - n : 0;

	if (!s->left && s->zero && n > 0 && *text == '-') {	/* the sign goes before zeros */
		put(out, *text++);
		n--;
	}
	for (; !s->left && pad > 0; pad--)
		put(out, s->zero ? '0' : ' ');
	for (; n > 0; n--)
		put(out, *text++);
	for (; pad > 0; pad--)
		put(out, ' ');
}

/* Writes digits backwards, ending before `end`; returns where they start. */
static char *digits(char *end, uint64_t v, unsigned int base, int upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	do {
		*--end = set[v % base];
		v /= base;
	} while (v);
	return end;
}

static void put_number(struct sink *out, const struct spec *s, uint64_t v, unsigned int base,
		       int upper, int negative)
{
	char buf[72], *end = buf + sizeof(buf), *p = digits(end, v, base, upper);

	while (s->precision > end - p && p > buf + 1)
		*--p = '0';
	if (negative)
		*--p = '-';
	put_padded(out, s, p, (size_t)(end - p));
}

/* Good for |v| below 2^63, which is all that the programs print. */
static void put_double(struct sink *out, const struct spec *s, double v)
{
	int places = s->precision < 0 ? 6 : s->precision > 17 ? 17 : s->precision;
	int negative = v < 0;
	char buf[72], *end = buf + sizeof(buf), *p;
	uint64_t whole, fraction, scale = 1;

	if (v != v || v > 9e18 || v < -9e18) {
		put_padded(out, s, v != v ? "nan" : negative ? "-inf" : "inf", v < 0 ? 4 : 3);
		return;
	}
	if (negative)
		v = -v;
	for (int i = 0; i < places; i++)
		scale *= 10;
	whole = (uint64_t)v;
	fraction = (uint64_t)((v - (double)whole) * (double)scale + 0.5);
	if (fraction >= scale) {
		whole++;
		fraction -= scale;
	}
	p = end;
	for (int i = 0; i < places; i++, fraction /= 10)
		*--p = (char)('0' + fraction % 10);
	if (places)
		*--p = '.';
	p = digits(p, whole, 10, 0);
	if (negative)
		*--p = '-';
	put_padded(out, s, p, (size_t)(end - p));
}

static uint64_t next_unsigned(const struct spec *s, va_list *ap)
{
	return s->longs ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned int);
}

static void put_signed(struct sink *out, const struct spec *s, va_list *ap)
{
	int64_t v = s->longs ? va_arg(*ap, int64_t) : va_arg(*ap, int);

	put_number(out, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, 0, v < 0);
}

static void put_string(struct sink *out, const struct spec *s, const char *text)
{
	size_t n = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || n < (size_t)s->precision) && text[n])
		n++;
	put_padded(out, s, text, n);
}

static void convert(struct sink *out, const struct spec *s, char kind, va_list *ap)
{
	char c;

	switch (kind) {
	case 'd': case 'i':
		return put_signed(out, s, ap);
	case 'u':
		return put_number(out, s, next_unsigned(s, ap), 10, 0, 0);
	case 'x': case 'X':
		return put_number(out, s, next_unsigned(s, ap), 16, kind == 'X', 0);
	case 'p':
		put(out, '0');
		put(out, 'x');
		return put_number(out, s, (uint64_t)va_arg(*ap, void *), 16, 0, 0);
	case 's':
		return put_string(out, s, va_arg(*ap, const char *));
	case 'f':
		return put_double(out, s, va_arg(*ap, double));
	case 'c':
		c = (char)va_arg(*ap, int);
		return put_padded(out, s, &c, 1);
	default:
		put(out, kind);
	}
}

static const char *number_or_star(const char *f, int *value, va_list *ap)
{
	if (*f == '*') {
		*value = va_arg(*ap, int);
		return f + 1;
	}
	for (*value = 0; *f >= '0' && *f <= '9'; f++)
		*value = *value * 10 + (*f - '0');
	return f;
}

static void format_to(struct sink *out, const char *f, va_list *ap)
{
	while (*f) {
		struct spec s = { .precision = -1 };

		if (*f != '%') {
			put(out, *f++);
			continue;
		}
		for (f++; *f == '-' || *f == '0'; f++) {
			s.left |= *f == '-';
			s.zero |= *f == '0';
		}
		f = number_or_star(f, &s.width, ap);
		if (*f == '.')
			f = number_or_star(f + 1, &s.precision, ap);
		for (; *f == 'l' || *f == 'z'; f++)
			s.longs++;
		if (*f)
			convert(out, &s, *f++, ap);
	}
}

int vsnprintf(char *buf, size_t n, const char *format, va_list ap)
{
	struct sink out = { buf, n, 0, -1 };
	va_list copy;

	va_copy(copy, ap);
	format_to(&out, format, &copy);
	va_end(copy);
	if (n > 0)
		buf[out.used < n ? out.used : n - 1] = '\0';
	return (int)out.used;
}

int snprintf(char *buf, size_t n, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = vsnprintf(buf, n, format, ap);
	va_end(ap);
	return r;
}

int vdprintf(int fd, const char *format, va_list ap)
{
	char buf[1024];
	struct sink out = { buf, sizeof(buf), 0, fd };
	va_list copy;

	va_copy(copy, ap);
	format_to(&out, format, &copy);
	va_end(copy);
	flush(&out);
	return 0;
}

int dprintf(int fd, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vdprintf(fd, format, ap);
	va_end(ap);
	return 0;
}

int printf(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vdprintf(1, format, ap);
	va_end(ap);
	return 0;
}

void puts(const char *s)
{
	dprintf(1, "%s\n", s);
}
