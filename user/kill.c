/* kill [-SIGNAL] PID... - sends a signal, by number, 15 unless said otherwise. */
#include <lib.h>

int main(int argc, char **argv)
{
	int signal = SIGTERM, i = 1, failed = 0;

	if (argc > 1 && argv[1][0] == '-')
		signal = atoi(argv[i++] + 1);
	if (i == argc) {
		dprintf(2, "usage: kill [-SIGNAL] PID...\n");
		return 2;
	}
	for (; i < argc; i++) {
		uint64_t pid;
		long r = parse_number(argv[i], &pid) < 0 ? -EINVAL : kill((int)pid, signal);

		if (r < 0)
			dprintf(2, "kill: %s: %s\n", argv[i], error_text(r));
		failed |= r < 0;
	}
	return failed;
}
