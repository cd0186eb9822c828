/* yes [WORD] - writes lines until nobody reads them. */
#include <lib.h>

int main(int argc, char **argv)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%.250s\n", argc > 1 ? argv[1] : "y");

	while (write_all(1, line, (size_t)n) > 0)
		;
	return 1;
}
