/*
 * intserver - an integer-only IPC server: answers each message with the sum of its first four words
 * in the fifth. It has no vector registers, so a call need not cost its caller a load. Runs until
 * killed.
 */
#include <xstate.h>

INTEGER_ONLY_PROGRAM;

int main(void)
{
	uint64_t m[TARRY_IPC_WORDS] = { 0 };
	long caller = 0;

	for (;;) {
		caller = ipc_reply_wait((int)caller, m);
		if (caller == -ESRCH)		/* the caller did not live to see its answer */
			caller = 0;
		else if (caller < 0)
			return 1;
		else
			m[4] = m[0] + m[1] + m[2] + m[3];
	}
}
