/*
 * intbench - times the null system call as user/bench.c does, in a program without vector registers,
 * and writes the minimum and the median of 512 rounds to standard output, two words, for bench to
 * print. The two programs must take the same way through the kernel.
 */
#include <bench.h>
#include <xstate.h>

INTEGER_ONLY_PROGRAM;

enum { ROUNDS = 512 };

static uint32_t samples[ROUNDS];
static uint32_t result[2];

/* Fills the samples; the first pass warms up. */
static void time_calls(int calls)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < ROUNDS; i++) {
			uint64_t start = now();

			if (calls)
				bare_call(UNKNOWN_CALL);
			samples[i] = (uint32_t)(now() - start);
		}
	sort(samples, ROUNDS);
}

int main(void)
{
	time_calls(0);
	result[0] = result[1] = -samples[0];
	time_calls(1);
	result[0] += samples[0];
	result[1] += samples[ROUNDS / 2];
	write(1, result, sizeof(result));
	return 0;
}
