/*
 * Every FPU instruction that Tarry executes, as a function each, with the manual's name. Nothing else in the
 * kernel may hold one. Host tests put a directory with their own fpu/insn.h first in the include path: a
 * software register file instead of the CPU.
 *
 * Those that return int may be given an image that the CPU refuses: 0, or -1 after a fault, by an entry in
 * the exception table. A refused restore may have loaded some components already (museum entry 14).
 */
#ifndef FPU_INSN_H
#define FPU_INSN_H

#include "kernel/types.h"

#define CR0_TASK_SWITCHED BIT(3)

#define MSR_IA32_XFD 0x1c4
#define MSR_IA32_XFD_ERR 0x1c5
#define MSR_IA32_U_CET 0x6a0
#define MSR_IA32_PL3_SSP 0x6a7
#define MSR_IA32_PASID 0xd93
#define MSR_IA32_XSS 0xda0

/* A mask goes in EDX:EAX. */
#define MASK_OPERANDS(mask) "a"((u32)(mask)), "d"((u32)((mask) >> 32))

/* The instruction at `insn` may fault; `failed`, -1 before, becomes 0 if it did not. */
#define MAY_FAULT(insn)                                                                                      \
	"1:\t" insn "\n\t"                                                                                   \
	"xorl %0, %0\n"                                                                                      \
	"2:\n\t"                                                                                             \
	".pushsection .extable, \"a\"\n\t"                                                                   \
	".quad 1b, 2b\n\t"                                                                                   \
	".popsection"

/* XGETBV: 0 reads XCR0, 1 reads XCR0 & XINUSE (the components not in their initial state). */
static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}

/* XSETBV: writes XCR0. */
static inline void xsetbv(u64 value)
{
	asm volatile("xsetbv" ::"c"(0), MASK_OPERANDS(value) : "memory");
}

/* XSAVE64: user components, standard format, no optimisation. */
static inline void xsave64(void *area, u64 rfbm)
{
	asm volatile("xsave64 (%0)" ::"r"(area), MASK_OPERANDS(rfbm) : "memory");
}

/* XSAVEC64: user components, compacted format, init optimisation. */
static inline void xsavec64(void *area, u64 rfbm)
{
	asm volatile("xsavec64 (%0)" ::"r"(area), MASK_OPERANDS(rfbm) : "memory");
}

/* XSAVES64: user and supervisor components, compacted format, init and modified optimisation. */
static inline void xsaves64(void *area, u64 rfbm)
{
	asm volatile("xsaves64 (%0)" ::"r"(area), MASK_OPERANDS(rfbm) : "memory");
}

/* XSAVES64 on a CPU that may not have it: -1 if it is an invalid opcode. */
static inline int try_xsaves64(void *area, u64 rfbm)
{
	int failed = -1;
	asm volatile(MAY_FAULT("xsaves64 (%1)") : "+r"(failed) : "r"(area), MASK_OPERANDS(rfbm) : "memory", "cc");
	return failed;
}

/* XRSTOR64: user components, either format. */
static inline int xrstor64(const void *area, u64 rfbm)
{
	int failed = -1;
	asm volatile(MAY_FAULT("xrstor64 (%1)") : "+r"(failed) : "r"(area), MASK_OPERANDS(rfbm) : "memory", "cc");
	return failed;
}

/* XRSTORS64: user and supervisor components, compacted format only. */
static inline int xrstors64(const void *area, u64 rfbm)
{
	int failed = -1;
	asm volatile(MAY_FAULT("xrstors64 (%1)") : "+r"(failed) : "r"(area), MASK_OPERANDS(rfbm) : "memory", "cc");
	return failed;
}

/* RDPKRU; #UD unless CR4.PKE. */
static inline u32 rdpkru(void)
{
	u32 pkru, zero;
	asm volatile("rdpkru" : "=a"(pkru), "=d"(zero) : "c"(0));
	return pkru;
}

/* WRPKRU; #UD unless CR4.PKE. */
static inline void wrpkru(u32 pkru)
{
	asm volatile("wrpkru" ::"a"(pkru), "c"(0), "d"(0) : "memory");
}

/* LDMXCSR: #GP if a reserved bit is set. Through the stack; the kernel has no red zone. */
static inline void ldmxcsr(u32 mxcsr)
{
	asm volatile("pushq %0\n\tldmxcsr (%%rsp)\n\tleaq 8(%%rsp), %%rsp" ::"er"((u64)mxcsr));
}

/* STMXCSR */
static inline u32 stmxcsr(void)
{
	u32 mxcsr;
	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	return mxcsr;
}

/* FNINIT: x87 control, status and tag words as after reset; the data registers keep their values. */
static inline void fninit(void)
{
	asm volatile("fninit");
}

/* FLDCW */
static inline void fldcw(u16 control)
{
	asm volatile("fldcw %0" ::"m"(control));
}

/* FNSTCW */
static inline u16 fnstcw(void)
{
	u16 control;
	asm volatile("fnstcw %0" : "=m"(control));
	return control;
}

/* TILERELEASE: all tile registers and their configuration become initial. XFD does not disable it. */
static inline void tilerelease(void)
{
	asm volatile("tilerelease");
}

/* CLTS: clears CR0.TS, so that x87, SSE and AVX instructions no longer raise #NM. */
static inline void clts(void)
{
	asm volatile("clts" ::: "memory");
}

/* MOV to CR0 with TS set: there is no instruction for it alone. */
static inline void stts(void)
{
	u64 cr0;
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" ::"r"(cr0 | CR0_TASK_SWITCHED) : "memory");
}

/* RDMSR of one of the registers above. */
static inline u64 read_fpu_msr(u32 msr)
{
	u32 lo, hi;
	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

/* WRMSR */
static inline void write_fpu_msr(u32 msr, u64 value)
{
	asm volatile("wrmsr" ::"c"(msr), MASK_OPERANDS(value) : "memory");
}

#endif
