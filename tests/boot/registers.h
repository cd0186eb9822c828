/*
 * registers.h - fills x87, SSE and AVX registers with a pattern, makes system calls or spins in
 * the same asm block, stores the registers and compares. No compiled code may run between the
 * loading and the storing: it would be the compiler's registers that are compared.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "ktap.h"

struct registers {
	uint8_t ymm[16][32];
	uint64_t st[8];				/* integers, as fild and fistp see them */
	uint32_t mxcsr;
	uint16_t fcw;
} __attribute__((aligned(64)));

static struct registers want, got;
static int avx;

/* Call it first: the rest asks whether there are YMM registers. */
static void detect(void)
{
	struct cpuid c = cpuid(1, 0);
	uint32_t low, high;

	if (!(c.ecx >> 27 & 1))			/* OSXSAVE */
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	avx = (c.ecx >> 28 & 1) && (low & 6) == 6;
}

static void make_pattern(struct registers *r, uint32_t seed)
{
	uint8_t *p = &r->ymm[0][0];

	for (size_t i = 0; i < sizeof(r->ymm); i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
	for (int i = 0; i < 8; i++)
		r->st[i] = (uint64_t)(seed + (uint32_t)i * 77777) << 16;
	r->mxcsr = 0x1f80 | (seed & 3) << 13;	/* rounding, all masked */
	r->fcw = (uint16_t)(0x37f | (seed >> 4 & 3) << 10);
}

#define EACH(op, r)							\
	op(0, r) op(1, r) op(2, r) op(3, r) op(4, r) op(5, r)		\
	op(6, r) op(7, r) op(8, r) op(9, r) op(10, r) op(11, r)	\
	op(12, r) op(13, r) op(14, r) op(15, r)
#define LOAD_YMM(n, r)	"vmovdqu " #n "*32(" r "), %%ymm" #n "\n"
#define STORE_YMM(n, r)	"vmovdqu %%ymm" #n ", " #n "*32(" r ")\n"
#define LOAD_XMM(n, r)	"movdqu " #n "*32(" r "), %%xmm" #n "\n"
#define STORE_XMM(n, r)	"movdqu %%xmm" #n ", " #n "*32(" r ")\n"

#define LOAD_X87							\
	"fninit\n"							\
	"fldcw 580(%[in])\n"						\
	"fildq 568(%[in])\n fildq 560(%[in])\n fildq 552(%[in])\n"	\
	"fildq 544(%[in])\n fildq 536(%[in])\n fildq 528(%[in])\n"	\
	"fildq 520(%[in])\n fildq 512(%[in])\n"				\
	"ldmxcsr 576(%[in])\n"
#define STORE_X87							\
	"fnstcw 580(%[out])\n"						\
	"stmxcsr 576(%[out])\n"						\
	"fistpq 512(%[out])\n fistpq 520(%[out])\n fistpq 528(%[out])\n" \
	"fistpq 536(%[out])\n fistpq 544(%[out])\n fistpq 552(%[out])\n" \
	"fistpq 560(%[out])\n fistpq 568(%[out])\n"

_Static_assert(offsetof(struct registers, st) == 512, "the asm knows the offsets");
_Static_assert(offsetof(struct registers, mxcsr) == 576, "the asm knows the offsets");
_Static_assert(offsetof(struct registers, fcw) == 580, "the asm knows the offsets");

/*
 * `turns` raw calls of number `nr`, or of nothing if nr is negative: then it just spins. `result` is what the last one
 * returned. An IPC call takes whatever the message registers hold.
 */
#define TURN								\
	"1: testq %[nr], %[nr]\n"					\
	"js 2f\n"							\
	"movq %[nr], %%rax\n"						\
	"syscall\n"							\
	"2: decq %[turns]\n"						\
	"jnz 1b\n"

#define KEEP(load, store)						\
	__asm__ volatile(LOAD_X87 EACH(load, "%[in]")		\
			 TURN						\
			 EACH(store, "%[out]") STORE_X87		\
			 : [turns] "+r"(turns), "+S"(b), "+d"(c), "+a"(result) \
			 : [in] "r"(&want), [out] "r"(&got), [nr] "r"(nr), "D"(a) \
			 : "rcx", "r8", "r9", "r10", "r11", "memory", "cc", \
			   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

static void default_controls(void)
{
	uint32_t mxcsr = 0x1f80;

	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

static long keep_calling3(long nr, long a, long b, long c, uint64_t turns)
{
	long result = 0;

	if (avx)
		KEEP(LOAD_YMM, STORE_YMM);
	else
		KEEP(LOAD_XMM, STORE_XMM);
	if (avx)
		__asm__ volatile("vzeroupper");
	default_controls();
	return result;
}

static inline void keep_calling(long nr, long argument, uint64_t turns)
{
	keep_calling3(nr, argument, 0, 0, turns);
}

static inline void keep(long nr, uint64_t turns)
{
	keep_calling(nr, 0, turns);
}

static void compare(uint32_t who)
{
	size_t width = avx ? 32 : 16;

	for (int i = 0; i < 16; i++)
		if (memcmp(want.ymm[i], got.ymm[i], width) != 0)
			FAIL("process %u: %s%d changed", who, avx ? "ymm" : "xmm", i);
	for (int i = 0; i < 8; i++)
		if (want.st[i] != got.st[i])
			FAIL("process %u: st%d is %lx, not %lx", who, i, got.st[i], want.st[i]);
	if (want.mxcsr != got.mxcsr)
		FAIL("process %u: MXCSR is %x, not %x", who, got.mxcsr, want.mxcsr);
	if (want.fcw != got.fcw)
		FAIL("process %u: FCW is %x, not %x", who, got.fcw, want.fcw);
}

#endif
