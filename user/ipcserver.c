/*
 * ipcserver - answers IPC calls: gives back each message with the first word, the number
 * of the call, counted up. Ends by itself when that word comes as all ones.
 */
#include <lib.h>

int main(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	long caller = 0;

	printf("ipcserver: pid %ld, waiting\n", getpid());
	for (;;) {
		caller = ipc_reply_wait((int)caller, m);
		if (caller == -ESRCH) {		/* the caller did not live to see its answer */
			caller = 0;
			continue;
		}
		if (caller < 0) {
			dprintf(2, "ipcserver: %s\n", error_text(caller));
			return 1;
		}
		if (m[0] == UINT64_MAX)
			return 0;
		m[0]++;
	}
}
