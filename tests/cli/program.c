/*
 * program.c - an outside program for the tests of run-qemu.sh: a static musl binary that does what
 * its first argument says. It must use nothing but Linux's calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Copies stdin to stdout in small pieces, after a while in which the input has to wait. */
static int copy(int wait_ms)
{
	struct timespec wait = { wait_ms / 1000, wait_ms % 1000 * 1000000L };
	char buf[512];
	long n, total = 0;

	nanosleep(&wait, NULL);
	while ((n = read(0, buf, sizeof(buf))) > 0) {
		total += n;
		if (write(1, buf, n) != n)
			return 9;
	}
	fprintf(stderr, "%ld bytes\n", total);
	return n < 0;
}

static int bytes(void)
{
	char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	write(1, all, sizeof(all));
	write(2, all, sizeof(all));
	return 0;
}

static int show_file(const char *path)
{
	FILE *file = fopen(path, "r");
	int c;

	if (!file)
		return 1;
	while ((c = getc(file)) != EOF)
		putchar(c);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long number = argc > 2 ? atol(argv[2]) : 0;

	if (!strcmp(what, "status"))
		return number;
	if (!strcmp(what, "copy"))
		return copy(number);
	if (!strcmp(what, "bytes"))
		return bytes();
	if (!strcmp(what, "file"))
		return show_file(argv[2]);
	if (!strcmp(what, "crash"))
		*(volatile int *)8 = 1;
	if (!strcmp(what, "debug"))
		return syscall(0x1003, number, argc > 3 ? atol(argv[3]) : 0) != 0;
	if (!strcmp(what, "lines"))
		for (long i = 0; !number || i < number; i++)
			puts("line");
	if (!strcmp(what, "spin"))
		for (;;)
			;
	if (!strcmp(what, "arguments"))
		for (int i = 0; i < argc; i++)
			printf("[%s]\n", argv[i]);
	return 0;
}
