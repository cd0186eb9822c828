/*
 * The two mechanisms behind one pair of calls, and the set-up of XCR0 and IA32_XSS. Counts what it moves.
 * Nothing here knows of tasks or states.
 */
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/setup.h"
#include "fpu/soft.h"
#include "kernel/insn.h"
#include "kernel/string.h"

struct fpu_config fpu_config;

static struct xsave_area *init_image;
u16 fpu_bytes_of[256]; /* header and each combination of components 0 to 7 */

void fpu_set_ts(struct fpu_cpu *cpu)
{
	if (cpu->ts)
		return;
	stts();
	cpu->ts = true;
}

void fpu_clear_ts_slow(struct fpu_cpu *cpu)
{
	clts();
	cpu->ts = false;
}

u64 fpu_bytes_beyond(u64 xstate_bv)
{
	u64 bytes = 0;

	for (u64 rest = xstate_bv & fpu_config.mask & ~0xfful; rest; rest &= rest - 1)
		bytes += fpu_config.layout.component[__builtin_ctzl(rest)].size;
	return bytes;
}

void fpu_image_prepare(struct xsave_area *image)
{
	init_image = image;
	for (u32 bits = 0; bits < ARRAY_SIZE(fpu_bytes_of); bits++) {
		fpu_bytes_of[bits] = (u16)(XSAVE_HEADER_SIZE + (bits & XFM_LEGACY ? XSAVE_LEGACY_SIZE : 0));
		for (u32 i = XF_AVX; i < 8; i++)
			if (bits & BIT(i))
				fpu_bytes_of[bits] = (u16)(fpu_bytes_of[bits] + fpu_config.layout.component[i].size);
	}
}

bool fpu_image_load_failed(struct fpu_cpu *cpu)
{
	fpu_image_load_init(cpu);
	return false;
}

void fpu_image_load_init(struct fpu_cpu *cpu)
{
	fpu_clear_ts(cpu);
	cpu->counters.init_loads++;
	if (fpu_config.native ? xrstors64(init_image, fpu_config.mask) : fpu_load_soft(cpu, init_image, fpu_config.mask))
		fpu_broken("the initial image can't be loaded");
}

bool fpu_ungated_in_use(struct fpu_cpu *cpu)
{
	if (fpu_config.xss & XFM(XF_PASID) && cpu->soft->pasid)
		return true;
	return fpu_config.xss & XFM(XF_CET_U) && (read_fpu_msr(MSR_IA32_U_CET) || read_fpu_msr(MSR_IA32_PL3_SSP));
}

void fpu_image_reset(struct xsave_area *area)
{
	xstate_init_image(&fpu_config.layout, area, fpu_config.mask);
}
