/*
 * The two mechanisms behind one pair of calls, and the set-up of XCR0 and IA32_XSS. Counts what it moves.
 * Nothing here knows of tasks or states.
 */
#include "fpu/buffers.h"
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/setup.h"
#include "fpu/soft.h"
#include "kernel/insn.h"
#include "kernel/string.h"

struct fpu_config fpu_config;

static struct xsave_area *init_image;
static u16 bytes_of[256]; /* header and each combination of components 0 to 7 */

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

/* Bytes that a save or load of these components touches, header included. */
static u64 bytes_beyond(u64 xstate_bv)
{
	u64 bytes = 0;

	for (u64 rest = xstate_bv & fpu_config.mask & ~0xfful; rest; rest &= rest - 1)
		bytes += fpu_config.layout.component[__builtin_ctzl(rest)].size;
	return bytes;
}

static inline u64 bytes_moved(u64 xstate_bv)
{
	if (likely(xstate_bv < ARRAY_SIZE(bytes_of)))
		return bytes_of[xstate_bv];
	return bytes_of[(u8)xstate_bv] + bytes_beyond(xstate_bv);
}

void fpu_image_prepare(struct xsave_area *image)
{
	init_image = image;
	fpu_config.image_size = xstate_standard_size(&fpu_config.layout, fpu_config.xcr0 & ~fpu_config.dynamic);
	fpu_config.full_image_size = xstate_standard_size(&fpu_config.layout, fpu_config.xcr0);
	for (u32 bits = 0; bits < ARRAY_SIZE(bytes_of); bits++) {
		bytes_of[bits] = (u16)(XSAVE_HEADER_SIZE + (bits & XFM_LEGACY ? XSAVE_LEGACY_SIZE : 0));
		for (u32 i = XF_AVX; i < 8; i++)
			if (bits & BIT(i))
				bytes_of[bits] = (u16)(bytes_of[bits] + fpu_config.layout.component[i].size);
	}
}

/* The model at work, its cost counted apart: it stands for one instruction. */
static inline void save_soft(struct fpu_cpu *cpu, struct xsave_area *area, u64 features)
{
	u32 start = (u32)rdtsc();

	soft_xsaves(cpu->soft, area, features);
	cpu->counters.model_ticks += (u32)rdtsc() - start;
}

static inline int load_soft(struct fpu_cpu *cpu, const struct xsave_area *area, u64 features)
{
	u32 start = (u32)rdtsc();
	int fault = soft_xrstors(cpu->soft, area, features);

	cpu->counters.model_ticks += (u32)rdtsc() - start;
	return fault;
}

static inline int load(struct fpu_cpu *cpu, const struct xsave_area *area, u64 features)
{
	fpu_clear_ts(cpu);
	return fpu_config.native ? xrstors64(area, features) : load_soft(cpu, area, features);
}

/* False, the registers initial. What XFD disables must never be loaded: hardware would raise #NM in the kernel. */
static bool load_refused(struct fpu_cpu *cpu, int fault)
{
	if (fault == SOFT_NM)
		fpu_broken("#NM in the kernel: XRSTORS of a component that XFD disables");
	fpu_image_load_init(cpu);
	return false;
}

static inline void save(struct fpu_cpu *cpu, struct xsave_area *area, u64 features)
{
	if (fpu_config.native)
		xsaves64(area, features);
	else
		save_soft(cpu, area, features);
}

/* The same two for a large fpstate. Its format is its own, whatever was last in the place that the CPU works on. */
static __attribute__((noinline)) void save_large(struct fpu_cpu *cpu, struct xsave_area *area)
{
	if (!fpu_buffers.open) {
		save(cpu, area, area->xcomp_bv);
		return;
	}
	save(cpu, fpu_buffers.open(cpu, area, false), area->xcomp_bv);
	fpu_buffers.close(cpu, area, true);
}

static __attribute__((noinline)) int load_large(struct fpu_cpu *cpu, struct xsave_area *area, u64 features)
{
	int fault;

	if (!fpu_buffers.open)
		return load(cpu, area, features);
	fault = load(cpu, fpu_buffers.open(cpu, area, true), features);
	fpu_buffers.close(cpu, area, false);
	return fault;
}

static inline int load_any(struct fpu_cpu *cpu, struct xsave_area *area, u64 features)
{
	return unlikely(fpu_is_large(area)) ? load_large(cpu, area, features) : load(cpu, area, features);
}

void fpu_image_save(struct fpu_cpu *cpu, struct xsave_area *area)
{
	if (unlikely(fpu_is_large(area)))
		save_large(cpu, area);
	else
		save(cpu, area, area->xcomp_bv);
	cpu->counters.saves++;
	cpu->counters.bytes_saved += bytes_moved(area->xstate_bv);
}

bool fpu_image_load(struct fpu_cpu *cpu, struct xsave_area *area)
{
	int fault;

	cpu->counters.loads++;
	cpu->counters.bytes_loaded += bytes_moved(area->xstate_bv);
	fault = load_any(cpu, area, fpu_config.mask);
	return likely(!fault) || load_refused(cpu, fault);
}

bool fpu_image_load_component(struct fpu_cpu *cpu, struct xsave_area *area, u32 feature)
{
	int fault;

	cpu->counters.loads++;
	cpu->counters.bytes_loaded += bytes_moved(area->xstate_bv & BIT(feature));
	fault = load_any(cpu, area, BIT(feature));
	return !fault || load_refused(cpu, fault);
}

void fpu_image_load_init(struct fpu_cpu *cpu)
{
	cpu->counters.init_loads++;
	if (load(cpu, init_image, fpu_config.mask))
		fpu_broken("the initial image can't be loaded");
}

bool fpu_tiles_in_use(const struct fpu_cpu *cpu)
{
	if (!(fpu_config.xcr0 & XFM_TILES))
		return false;
	if (fpu_config.native)
		return xgetbv(1) & XFM_TILES;
	return amx_configured(&cpu->soft->tiles) || cpu->soft->tiles.used;
}

u64 fpu_pasid(const struct fpu_cpu *cpu)
{
	return fpu_config.native ? read_fpu_msr(MSR_IA32_PASID) : cpu->soft->pasid;
}

void fpu_set_pasid(struct fpu_cpu *cpu, u64 pasid)
{
	if (fpu_config.native)
		write_fpu_msr(MSR_IA32_PASID, pasid);
	else
		cpu->soft->pasid = pasid;
}

bool fpu_ungated_in_use(struct fpu_cpu *cpu)
{
	if (fpu_tiles_in_use(cpu))
		return true;
	if (fpu_config.xss & XFM(XF_PASID) && fpu_pasid(cpu))
		return true;
	return fpu_config.xss & XFM(XF_CET_U) && (read_fpu_msr(MSR_IA32_U_CET) || read_fpu_msr(MSR_IA32_PL3_SSP));
}

void fpu_tiles_release(struct fpu_cpu *cpu)
{
	if (fpu_config.native)
		tilerelease();
	else
		amx_release(&cpu->soft->tiles);
}

void fpu_set_xfd_slow(struct fpu_cpu *cpu, u64 xfd)
{
	cpu->xfd = xfd;
	if (fpu_config.native)
		write_fpu_msr(MSR_IA32_XFD, xfd);
	else
		cpu->soft->xfd = xfd;
}

u64 fpu_take_xfd_err(struct fpu_cpu *cpu)
{
	u64 err = 0;

	if (fpu_config.native && fpu_config.dynamic) {
		err = read_fpu_msr(MSR_IA32_XFD_ERR);
		if (err)
			write_fpu_msr(MSR_IA32_XFD_ERR, 0);
	} else if (fpu_config.dynamic) {
		err = cpu->soft->xfd_err;
		cpu->soft->xfd_err = 0;
	}
	return err & fpu_config.dynamic;
}

void fpu_image_reset(struct xsave_area *area, u64 features)
{
	struct xsave_pages more = area->more;

	xstate_init_image(&fpu_config.layout, area, features & fpu_config.mask & ~fpu_config.dynamic);
	area->xcomp_bv |= features & fpu_config.dynamic;
	area->more = more;
}
