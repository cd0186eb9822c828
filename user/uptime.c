/* uptime - says for how long the machine has been running. */
#include <lib.h>

int main(void)
{
	uint64_t ms = now_ns() / 1000000;

	printf("up %lu.%03lu s\n", ms / 1000, ms % 1000);
	return 0;
}
