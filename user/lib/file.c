/*
 * file.c - reading and writing whole things: short reads and writes are finished here, so
 * that the tools do not each do it. Nothing here prints except open_or_complain.
 */
#include <lib.h>

long write_all(int fd, const void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		long r = write(fd, (const char *)buf + done, n - done);

		if (r < 0)
			return r;
		done += (size_t)r;
	}
	return (long)n;
}

long read_full(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		long r = read(fd, (char *)buf + done, n - done);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (long)done;
}

/* Reads one line without its newline, cut to n - 1 bytes. */
long read_line(struct line_reader *r, char *line, size_t n)
{
	size_t used = 0;

	for (;;) {
		char c;

		if (r->start == r->end) {
			long got = read(r->fd, r->buf, sizeof(r->buf));

			if (got < 0)
				return got;
			if (got == 0)
				break;
			r->start = 0;
			r->end = (size_t)got;
		}
		c = r->buf[r->start++];
		if (c == '\n') {
			line[used] = '\0';
			return (long)used + 1;
		}
		if (used + 1 < n)
			line[used++] = c;
	}
	line[used] = '\0';
	return used ? (long)used + 1 : 0;
}

int open_or_complain(const char *program, const char *path)
{
	long fd = strcmp(path, "-") == 0 ? 0 : open(path, O_RDONLY);

	if (fd < 0)
		dprintf(2, "%s: %s: %s\n", program, path, error_text(fd));
	return (int)fd;
}
