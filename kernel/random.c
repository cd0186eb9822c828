/* A small source of numbers for AT_RANDOM (stack protectors): mixes RDRAND, if the CPU has it, with the TSC. */
#include "kernel/insn.h"
#include "kernel/random.h"

#define CPUID1_ECX_RDRAND BIT(30)

u64 random_u64(void)
{
	static u64 state;
	u64 hardware = 0, x;

	if (cpuid(1, 0).ecx & CPUID1_ECX_RDRAND)
		asm volatile("rdrand %0" : "=r"(hardware)::"cc");
	x = __atomic_add_fetch(&state, (rdtsc() | 1) ^ hardware, __ATOMIC_RELAXED);
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ul; /* the mixer of SplitMix64 */
	x = (x ^ x >> 27) * 0x94d049bb133111ebul;
	return x ^ x >> 31;
}
