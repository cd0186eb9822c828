/* grep [-v] TEXT [FILE...] - prints the lines that hold TEXT (as it stands). */
#include <lib.h>

static int invert, found;

static int search(const char *text, const char *path, int name)
{
	static struct line_reader reader;
	static char line[4096];

	reader = (struct line_reader){ .fd = open_or_complain("grep", path) };
	if (reader.fd < 0)
		return 2;
	while (read_line(&reader, line, sizeof(line)) > 0) {
		if ((strstr(line, text) == NULL) != invert)
			continue;
		found = 1;
		printf("%s%s%s\n", name ? path : "", name ? ":" : "", line);
	}
	if (reader.fd > 0)
		close(reader.fd);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0, i = 1;

	if (argc > 1 && strcmp(argv[1], "-v") == 0)
		invert = i++;
	if (i == argc) {
		dprintf(2, "usage: grep [-v] TEXT [FILE...]\n");
		return 2;
	}
	if (i + 1 == argc)
		failed = search(argv[i], "-", 0);
	for (int f = i + 1; f < argc; f++)
		failed |= search(argv[i], argv[f], argc - i > 2);
	return failed ? failed : !found;
}
