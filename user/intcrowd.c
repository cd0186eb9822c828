/*
 * intcrowd - what one more idle thread of an integer-only program takes of the memory: 8 bytes on standard output, a
 * number or an error, for crowd to print. It needs no place for vector registers.
 */
#include <crowd.h>
#include <xstate.h>

INTEGER_ONLY_PROGRAM;

int main(void)
{
	long bytes = memory_of_thread();

	write(1, &bytes, sizeof(bytes));
	return bytes < 0;
}
