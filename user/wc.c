/* wc [-l|-w|-c] [FILE...] - counts lines, words and bytes. */
#include <lib.h>

static char only;

static int count(const char *path)
{
	static unsigned char buf[4096];
	uint64_t lines = 0, words = 0, bytes = 0;
	int fd = open_or_complain("wc", path), in_word = 0;
	long n;

	if (fd < 0)
		return 1;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		bytes += (uint64_t)n;
		for (long i = 0; i < n; i++) {
			int space = buf[i] == ' ' || (buf[i] >= '\t' && buf[i] <= '\r');

			lines += buf[i] == '\n';
			words += in_word && space;
			in_word = !space;
		}
	}
	words += (uint64_t)in_word;
	if (only)
		printf("%lu", only == 'l' ? lines : only == 'w' ? words : bytes);
	else
		printf("%7lu %7lu %7lu", lines, words, bytes);
	printf("%s%s\n", strcmp(path, "-") ? " " : "", strcmp(path, "-") ? path : "");
	if (fd > 0)
		close(fd);
	return n < 0;
}

int main(int argc, char **argv)
{
	int first = 1, failed = 0;

	if (argc > 1 && argv[1][0] == '-' && strchr("lwc", argv[1][1]) && argv[1][1]) {
		only = argv[1][1];
		first = 2;
	}
	if (first == argc)
		return count("-");
	for (int i = first; i < argc; i++)
		failed |= count(argv[i]);
	return failed;
}
