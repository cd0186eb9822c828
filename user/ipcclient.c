/*
 * ipcclient PID [TEXT | -q] - sends up to 32 bytes of text to an ipcserver and prints what
 * comes back; -q asks the server to end.
 */
#include <lib.h>

int main(int argc, char **argv)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 }, pid;
	const char *text = argc > 2 ? argv[2] : "hello";
	int quit = strcmp(text, "-q") == 0;
	size_t n = strlen(text);
	long r;

	if (argc < 2 || parse_number(argv[1], &pid) < 0) {
		dprintf(2, "usage: ipcclient PID [TEXT | -q]\n");
		return 2;
	}
	m[0] = quit ? UINT64_MAX : 0;
	memcpy(m + 1, text, n < 32 ? n : 32);
	r = ipc_call((int)pid, m);
	if (quit && r == -ESRCH)		/* it ended without an answer, as asked */
		return 0;
	if (r < 0) {
		dprintf(2, "ipcclient: %lu: %s\n", pid, error_text(r));
		return 1;
	}
	printf("call %lu: %.32s\n", m[0], (char *)(m + 1));
	return 0;
}
