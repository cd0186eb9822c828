/*
 * In front of the kernel's fpu/insn.h in host tests: the same functions on the software register file. Has to
 * declare whatever the kernel's header defines.
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

u64 xgetbv(u32 index);
void xsetbv(u64 value);
void xsave64(void *area, u64 rfbm);
void xsavec64(void *area, u64 rfbm);
void xsaves64(void *area, u64 rfbm);
int try_xsaves64(void *area, u64 rfbm);
int xrstor64(const void *area, u64 rfbm);
int xrstors64(const void *area, u64 rfbm);
u32 rdpkru(void);
void wrpkru(u32 pkru);
void ldmxcsr(u32 mxcsr);
u32 stmxcsr(void);
void fninit(void);
void fldcw(u16 control);
u16 fnstcw(void);
void tilerelease(void);
void clts(void);
void stts(void);
u64 read_fpu_msr(u32 msr);
void write_fpu_msr(u32 msr, u64 value);

#endif
