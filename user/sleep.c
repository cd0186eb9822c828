/* sleep SECONDS[.TENTHS] - waits. */
#include <lib.h>

int main(int argc, char **argv)
{
	char *dot = argc == 2 ? strchr(argv[1], '.') : NULL;
	uint64_t seconds, tenths = 0;

	if (dot)
		*dot++ = '\0';
	if (argc != 2 || parse_number(argv[1], &seconds) < 0 ||
	    (dot && (parse_number(dot, &tenths) < 0 || tenths > 9))) {
		dprintf(2, "usage: sleep SECONDS[.TENTHS]\n");
		return 2;
	}
	sleep_ms(seconds * 1000 + tenths * 100);
	return 0;
}
