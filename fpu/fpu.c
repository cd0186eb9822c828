/*
 * Eager saving with XSAVE in the standard format: simple and correct, to be replaced by the machine that
 * Tarry is about. The area's size comes from CPUID after XCR0 is set (manual, volume 1, 13.2).
 */
#include "fpu/fpu.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/string.h"

#define XCR0_X87_SSE 0x3
#define XCR0_AVX 0x4
#define XCR0_AVX512 0xe0
#define CPUID1_ECX_XSAVE BIT(26)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_NE BIT(5)

#define FCW_OFFSET 0
#define MXCSR_OFFSET 24
#define FCW_INIT 0x37f
#define MXCSR_INIT 0x1f80

u32 fpu_xcr0;
static u32 area_size;

void fpu_init_cpu(void)
{
	u64 supported;

	if (!(cpuid(1, 0).ecx & CPUID1_ECX_XSAVE))
		panic("this CPU has no XSAVE (CPUID.1:ECX bit 26); Tarry needs it");
	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	supported = cpuid(0xd, 0).eax;
	fpu_xcr0 = supported & (XCR0_X87_SSE | XCR0_AVX);
	if ((supported & XCR0_AVX512) == XCR0_AVX512 && cpuid(7, 0).ebx & BIT(16))
		fpu_xcr0 |= XCR0_AVX512;
	xsetbv(fpu_xcr0);
	area_size = cpuid(0xd, 0).ebx;
}

static void set_initial(void *area)
{
	memset(area, 0, area_size);
	*(u16 *)((char *)area + FCW_OFFSET) = FCW_INIT;
	*(u32 *)((char *)area + MXCSR_OFFSET) = MXCSR_INIT;
}

bool fpu_alloc(struct fpu *fpu)
{
	fpu->area = kmalloc(area_size);
	if (fpu->area)
		set_initial(fpu->area);
	return fpu->area;
}

void fpu_free(struct fpu *fpu)
{
	kfree(fpu->area);
}

void fpu_fork(struct fpu *child)
{
	xsave64(child->area, fpu_xcr0);
}

void fpu_reset(struct fpu *fpu)
{
	set_initial(fpu->area);
	fpu_switch_in(fpu);
}
