/*
 * xstate.h - what user code can ask and set of the extended state: XCR0, the in-use map, the
 * protection keys' register; and the mark of an integer-only program.
 *
 * One function an instruction. Nothing here may be needed by a program that has no business with
 * the extended state.
 */
#ifndef XSTATE_H
#define XSTATE_H

#include <lib.h>

#define PKRU_DEFAULT	0x55555554U	/* every key but 0 closed: what a new program starts with */
#define PKRU_BIT	(1UL << 9)	/* PKRU in XCR0 and XSTATE_BV */

static inline uint32_t rdpkru(void)
{
	uint32_t pkru;

	__asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx");
	return pkru;
}

static inline void wrpkru(uint32_t pkru)
{
	__asm__ volatile("wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

/* The two bits of a key in PKRU: 1 closed to all access, 2 closed to writes. */
static inline uint32_t pkru_with(uint32_t pkru, int key, uint32_t rights)
{
	return (pkru & ~(3U << 2 * key)) | rights << 2 * key;
}

static inline uint64_t xgetbv(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

/* True if the kernel has switched protection keys on (OSPKE). */
static inline int has_pkeys(void)
{
	return cpuid(0, 0).eax >= 7 && cpuid(7, 0).ecx >> 4 & 1;
}

/*
 * Put once into a program compiled without vector instructions: it gets no fpstate, and its first
 * vector instruction is its last. An ELF note of the name "Tarry", type 1, no content.
 */
#define INTEGER_ONLY_PROGRAM							\
	__asm__(".pushsection .note.tarry, \"a\", @note\n"			\
		".balign 4\n.long 6, 0, 1\n.asciz \"Tarry\"\n.balign 4\n"	\
		".popsection")

#endif
