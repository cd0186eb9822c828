/* head [-n LINES] [FILE] - copies the first lines (10) of a file or of its input. */
#include <lib.h>

int main(int argc, char **argv)
{
	static struct line_reader reader;
	static char line[4096];
	uint64_t lines = 10;
	int i = 1;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		if (parse_number(argv[2], &lines) < 0) {
			dprintf(2, "head: %s: not a number\n", argv[2]);
			return 2;
		}
		i = 3;
	}
	reader.fd = open_or_complain("head", i < argc ? argv[i] : "-");
	if (reader.fd < 0)
		return 1;
	while (lines-- > 0 && read_line(&reader, line, sizeof(line)) > 0)
		puts(line);
	return 0;
}
