/*
 * filter.c - copies stdin to stdout until the end of the input, byte by byte, and says on stderr
 * what it saw.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned int sum = 0, lines = 0;
	long total = 0;
	int c;

	while ((c = getchar()) != EOF) {
		putchar(c);
		total++;
		lines += c == '\n';
		sum = sum * 33 + (unsigned char)c;
	}
	fflush(stdout);
	fprintf(stderr, "%ld bytes, %u lines, sum %u, end %d, error %d\n", total, lines, sum,
		feof(stdin) != 0, ferror(stdin) != 0);
	fprintf(stderr, "again %zd\n", read(0, &c, 1));
	return total != 0;
}
