/* seq [FIRST] LAST - counts, one number a line. */
#include <lib.h>

int main(int argc, char **argv)
{
	uint64_t first = 1, last;

	if (argc < 2 || argc > 3 || parse_number(argv[argc - 1], &last) < 0 ||
	    (argc == 3 && parse_number(argv[1], &first) < 0)) {
		dprintf(2, "usage: seq [FIRST] LAST\n");
		return 2;
	}
	for (; first <= last; first++)
		printf("%lu\n", first);
	return 0;
}
