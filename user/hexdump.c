/* hexdump [FILE] - shows bytes as hexadecimal numbers and as characters. */
#include <lib.h>

static void show_line(uint64_t offset, const unsigned char *b, long n)
{
	char hex[16 * 3 + 1], text[17];

	for (int i = 0; i < 16; i++) {
		if (i < n)
			snprintf(hex + i * 3, 4, "%02x ", b[i]);
		else
			strcpy(hex + i * 3, "   ");
		text[i] = i >= n ? '\0' : b[i] >= ' ' && b[i] < 0x7f ? (char)b[i] : '.';
	}
	text[16] = '\0';
	printf("%08lx  %s |%s|\n", offset, hex, text);
}

int main(int argc, char **argv)
{
	int fd = open_or_complain("hexdump", argc > 1 ? argv[1] : "-");
	unsigned char buf[16];
	uint64_t offset = 0;
	long n;

	if (fd < 0)
		return 1;
	while ((n = read_full(fd, buf, sizeof(buf))) > 0) {
		show_line(offset, buf, n);
		offset += (uint64_t)n;
	}
	return n < 0;
}
