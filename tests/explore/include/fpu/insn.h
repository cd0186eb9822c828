/*
 * In the place of the kernel's fpu/insn.h: the instructions that fpu/ uses, on a register file of symbolic
 * values (registers.c). Each stops the run where a CPU would raise #NM.
 */
#ifndef FPU_INSN_H
#define FPU_INSN_H

#include "kernel/types.h"

#define MSR_IA32_XFD 0x1c4
#define MSR_IA32_XFD_ERR 0x1c5
#define MSR_IA32_U_CET 0x6a0
#define MSR_IA32_PL3_SSP 0x6a7
#define MSR_IA32_PASID 0xd93

void xsaves64(void *area, u64 rfbm);
int xrstors64(const void *area, u64 rfbm);
u32 rdpkru(void);
void wrpkru(u32 pkru);
void ldmxcsr(u32 mxcsr);
u32 stmxcsr(void);
void fninit(void);
void tilerelease(void);
void clts(void);
void stts(void);
u64 read_fpu_msr(u32 msr);
void write_fpu_msr(u32 msr, u64 value);
u64 xgetbv(u32 index);

#endif
