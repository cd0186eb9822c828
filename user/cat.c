/* cat [FILE...] - copies files, or its input, to its output. */
#include <lib.h>

static int copy(const char *path)
{
	static char buf[4096];
	int fd = open_or_complain("cat", path);
	long n = 0;

	if (fd < 0)
		return 1;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write_all(1, buf, (size_t)n) < 0)
			exit(1);
	if (n < 0)
		dprintf(2, "cat: %s: %s\n", path, error_text(n));
	if (fd > 0)
		close(fd);
	return n < 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc == 1)
		return copy("-");
	for (int i = 1; i < argc; i++)
		failed |= copy(argv[i]);
	return failed;
}
