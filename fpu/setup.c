/*
 * Boot: what the CPU has, which components are enabled, by which mechanism they are moved, and which policy
 * decides when. Says all of it in the log; what is modelled is named. Components that a program could use but the
 * kernel would not switch are never enabled (museum entry 30). The boot processor decides; another one follows, or
 * is refused if it could not hold the same registers.
 */
#include "fpu/buffers.h"
#include "fpu/cpu.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/intonly.h"
#include "fpu/kernel.h"
#include "fpu/policy.h"
#include "fpu/probe.h"
#include "fpu/setup.h"
#include "fpu/soft.h"
#include "fpu/update.h"
#include "kernel/bootinfo.h"
#include "kernel/format.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/string.h"

#define CPUID1_ECX_XSAVE BIT(26)
#define CPUID0_EBX_AMD 0x68747541   /* "Auth" */
#define CPUID0_EBX_HYGON 0x6f677948 /* "Hygo" */
#define CPUID80000008_EBX_RESTORES_FIP BIT(2)
#define CPUID7_EBX_AVX512F BIT(16)
#define CPUID7_ECX_PKU BIT(3)
#define CPUID7_ECX_SHSTK BIT(7)
#define CPUID7_EDX_IBT BIT(20)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_NE BIT(5)
#define CR4_PKE BIT(22)

const char *const fpu_state_names[FPU_STATES] = { "NONE", "ACTIVE", "CACHED", "INACTIVE" };
const char *const fpu_event_names[FPU_EVENTS] = {
#define FPU_EVENT(name, text) #name,
#include "fpu/transitions.def"
};

const char *const fpu_event_texts[FPU_EVENTS] = {
#define FPU_EVENT(name, text) text,
#include "fpu/transitions.def"
};
const struct fpu_rule fpu_rules[] = {
#define FPU_TRANSITION(event, from, to, policies, source, reason)                                  \
	{ FPU_EV_##event, FPU_##from, FPU_##to, policies, source, reason },
#include "fpu/transitions.def"
};
const u32 fpu_load_flag = TASK_NEED_FPU_LOAD;

/* What a CPU says of its registers. */
struct registers {
	struct xstate_layout layout;
	bool xsave, pku, avx512, cet, keeps_fip;
};
static struct registers boot_registers;

struct xsave_area *fpu_area_alloc(u32 size)
{
	return kmalloc(ALIGN_UP(size, XSAVE_ALIGN));
}

void fpu_area_free(struct xsave_area *area)
{
	kfree(area);
}

void fpu_broken(const char *why)
{
	panic("fpu: %s", why);
}

void fpu_illegal_transition(const struct fpu_context *context, const struct fpu_step *step)
{
	u32 first = context->steps > FPU_HISTORY ? context->steps - FPU_HISTORY : 0;

	klog("fpu: context %lu, last CPU %d; how it got there:", context->id, context->last_cpu);
	for (u32 i = first; i < context->steps; i++) {
		const struct fpu_step *s = &context->history[i % FPU_HISTORY];

		klog("fpu:   %3u  CPU %d  %s: %s to %s  (%s, %s:%u)", i, s->cpu, fpu_event_names[s->event],
		     fpu_state_names[s->from], fpu_state_names[s->to], s->site->function, s->site->file, s->site->line);
	}
	panic("fpu: illegal transition: %s from %s to %s", fpu_event_names[step->event], fpu_state_names[step->from],
	      fpu_state_names[step->to]);
}

/* See struct soft_cpu. */
static bool keeps_fip(void)
{
	u32 vendor = cpuid(0, 0).ebx;

	if (vendor != CPUID0_EBX_AMD && vendor != CPUID0_EBX_HYGON)
		return false;
	return cpuid(0x80000000, 0).eax < 0x80000008 || !(cpuid(0x80000008, 0).ebx & CPUID80000008_EBX_RESTORES_FIP);
}

static struct registers read_registers(void)
{
	struct cpuid_regs leaf7 = cpuid(7, 0);
	struct registers r = {
		.xsave = cpuid(1, 0).ecx & CPUID1_ECX_XSAVE,
		.pku = leaf7.ecx & CPUID7_ECX_PKU,
		.avx512 = leaf7.ebx & CPUID7_EBX_AVX512F,
		.cet = leaf7.ecx & CPUID7_ECX_SHSTK || leaf7.edx & CPUID7_EDX_IBT,
		.keeps_fip = keeps_fip(),
	};

	if (r.xsave)
		xstate_probe(&r.layout, cpuid);
	return r;
}

static bool same_components(const struct xstate_component *a, const struct xstate_component *b)
{
	for (u32 i = 0; i < XF_COUNT; i++)
		if (a[i].size != b[i].size || a[i].offset != b[i].offset || a[i].supervisor != b[i].supervisor ||
		    a[i].align64 != b[i].align64 || a[i].xfd != b[i].xfd)
			return false;
	return true;
}

static bool same_registers(const struct registers *a, const struct registers *b)
{
	const struct xstate_layout *p = &a->layout, *q = &b->layout;

	return a->xsave == b->xsave && a->pku == b->pku && a->avx512 == b->avx512 && a->cet == b->cet &&
	       a->keeps_fip == b->keeps_fip &&
	       p->user == q->user && p->supervisor == q->supervisor && p->xsaveopt == q->xsaveopt &&
	       p->xsavec == q->xsavec && p->xgetbv1 == q->xgetbv1 && p->xsaves == q->xsaves && p->xfd == q->xfd &&
	       same_components(p->component, q->component);
}

static void enable_instructions(void)
{
	write_cr0((read_cr0() & ~(CR0_EM | CR0_TASK_SWITCHED)) | CR0_MP | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
}

/* XCR0: what the CPU has and the kernel switches. CPUID's AVX-512 flag counts, not leaf 0Dh alone. */
static void choose_user_components(void)
{
	u64 wanted = XFM_LEGACY | XFM(XF_AVX);

	fpu_config.pku = boot_registers.pku && fpu_config.layout.user & XFM(XF_PKRU) && !boot_flag("nopku");
	if (fpu_config.pku)
		wanted |= XFM(XF_PKRU);
	if (boot_registers.avx512)
		wanted |= XFM_AVX512;
	fpu_config.xcr0 = fpu_config.real_xcr0 = xstate_constrain_xcr0(wanted & fpu_config.layout.user);
}

static void enable_user_components(void)
{
	xsetbv(fpu_config.real_xcr0);
	if (fpu_config.pku)
		write_cr4(read_cr4() | CR4_PKE);
}

/* IA32_XSS, the real one or the model's: CET_U where the CPU has it, PASID where it is modelled. */
static void choose_supervisor_components(void)
{
	u64 wanted = XFM(XF_CET_U);

	if (!fpu_config.native) {
		soft_extend_layout(&fpu_config.layout);
		wanted = XFM(XF_PASID) | (boot_registers.cet ? XFM(XF_CET_U) : 0);
	}
	fpu_config.xss = fpu_config.layout.supervisor & wanted;
}

/*
 * Tiles, the model's or real ones with XFD: every context would be 8 KiB larger without it. Where other tasks' values
 * lie behind CR0.TS real tiles stay off, because neither TS nor XFD stops LDTILECFG from changing them.
 */
static void choose_tiles(void)
{
	const struct xstate_layout *layout = &fpu_config.layout;
	bool xfd = layout->xfd && layout->component[XF_TILEDATA].xfd;

	if ((layout->user & XFM_TILES) != XFM_TILES || !xfd)
		return;
	if (fpu_config.native && (fpu_policy.device_not_available || fpu_intonly_keeps()))
		return;
	fpu_config.xcr0 |= XFM_TILES;
	fpu_config.dynamic = XFM(XF_TILEDATA);
	if (!fpu_config.native)
		return;
	fpu_config.real_xcr0 = fpu_config.xcr0;
	enable_user_components();
}

/*
 * The model's registers and scratch area of one CPU; a CPU that was down has them already. False when memory is out.
 */
static bool give_model(struct fpu_cpu *cpu)
{
	struct xsave_area *scratch;

	if (cpu->soft)
		return true;
	scratch = fpu_area_alloc(xstate_standard_size(&fpu_config.layout, fpu_config.real_xcr0));
	cpu->soft = scratch ? kzalloc(sizeof(*cpu->soft)) : NULL;
	if (cpu->soft)
		cpu->soft->scratch = scratch;
	else
		fpu_area_free(scratch);
	return cpu->soft;
}

static bool enable_supervisor_components(struct fpu_cpu *cpu)
{
	if (fpu_config.native) {
		write_fpu_msr(MSR_IA32_XSS, fpu_config.xss);
		return true;
	}
	if (!give_model(cpu))
		return false;
	soft_init(cpu->soft, &fpu_config.layout, fpu_config.real_xcr0, cpu->soft->scratch);
	cpu->soft->xcr0 = fpu_config.xcr0;
	cpu->soft->xss = fpu_config.xss;
	cpu->soft->keeps_fip = boot_registers.keeps_fip;
	return true;
}

static void choose_mechanism(void)
{
	struct xsave_area *area = fpu_area_alloc(PAGE_SIZE);
	char wanted[16] = "auto";
	bool works;

	boot_option("xstate", wanted, sizeof(wanted));
	works = xsaves_works(&fpu_config.layout, area) && !boot_registers.keeps_fip;
	fpu_area_free(area);
	if (fpu_config.layout.xsaves && !works)
		klog("fpu: warning: CPUID promises XSAVES, but it does not work here; not believed");
	if (!strcmp(wanted, "native") && !works)
		panic("xstate=native: this CPU has no working XSAVES; use xstate=soft or auto");
	if (strcmp(wanted, "native") && strcmp(wanted, "soft") && strcmp(wanted, "auto"))
		panic("xstate=%s is not auto, native or soft", wanted);
	fpu_config.native = works && strcmp(wanted, "soft");
}

static void choose_policy(void)
{
	static const struct fpu_policy *const policies[] = { &fpu_deferred, &fpu_eager, &fpu_lazy };
	char wanted[16] = "deferred";

	boot_option("fpu", wanted, sizeof(wanted));
	fpu_policy.name = NULL;
	for (u32 i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, wanted))
			fpu_policy = *policies[i];
	if (!fpu_policy.name)
		panic("fpu=%s is not deferred, eager or lazy", wanted);
	fpu_config.defers = fpu_policy.defers;
	if (fpu_policy.warning)
		klog("fpu: warning: policy %s %s", fpu_policy.name, fpu_policy.warning);
}

static void log_config(void)
{
	char names[160] = "";
	int n = 0;
	u32 reported = cpuid(0xd, 1).ebx, size = xstate_compact_size(&fpu_config.layout, fpu_config.features);

	for (u32 i = 0; i < XF_COUNT; i++)
		if (fpu_config.features & BIT(i))
			n += format_text(names + n, sizeof(names) - (size_t)n, " %s", xstate_name(i));
	klog("fpu: components%s; %u bytes a context", names, fpu_config.size);
	if (fpu_config.dynamic)
		klog("fpu: %u bytes once it uses tiles, which takes a permission (arch_prctl); %s", fpu_config.full_size,
		     fpu_buffers.name);
	klog("fpu: policy %s, mechanism %s", fpu_policy.name, fpu_config.native ? "native (XSAVES, XRSTORS)" :
	     "soft: XSAVES, XRSTORS, PASID, XFD and AMX are modelled in software");
	if (boot_registers.keeps_fip)
		klog("fpu: XRSTOR of this CPU leaves x87's FOP, FIP and FDP alone: they are cleared before each load");
	if (fpu_config.native && reported < size)
		klog("fpu: warning: CPUID.(0Dh,1):EBX says %u bytes where %u are needed; not believed", reported, size);
}

void fpu_init(void)
{
	struct fpu_cpu *cpu = fpu_this_cpu();
	struct xsave_area *init_image;
	bool enabled;

	boot_registers = read_registers();
	if (!boot_registers.xsave)
		panic("this CPU has no XSAVE (CPUID.1:ECX bit 26); Tarry needs it");
	enable_instructions();
	fpu_config.layout = boot_registers.layout;
	choose_user_components();
	enable_user_components();
	choose_mechanism();
	choose_supervisor_components();
	choose_policy();
	fpu_intonly_init();
	choose_tiles();
	enabled = enable_supervisor_components(cpu);
	fpu_config.features = fpu_config.xcr0 | fpu_config.xss;
	fpu_config.mask = fpu_config.features & ~XFM(XF_PKRU);
	fpu_config.ungated = fpu_config.mask & ~(XFM_LEGACY | XFM(XF_AVX) | XFM_AVX512);
	fpu_config.size = xstate_compact_size(&fpu_config.layout, fpu_config.mask & ~fpu_config.dynamic);
	fpu_config.full_size = xstate_compact_size(&fpu_config.layout, fpu_config.mask);

	init_image = fpu_area_alloc(fpu_config.size);
	if (!init_image || !enabled)
		panic("no memory for the FPU's images");
	memset(init_image, 0, fpu_config.size);
	xsave64(init_image, XFM(XF_SSE));
	fpu_config.mxcsr_mask = init_image->mxcsr_mask ? init_image->mxcsr_mask : MXCSR_MASK_DEFAULT;
	fpu_image_reset(init_image, fpu_config.mask & ~fpu_config.dynamic);
	fpu_image_prepare(init_image);
	fpu_buffers_init();
	if (!fpu_buffers_init_cpu(cpu))
		panic("no memory for the FPU's images");
	fpu_cpu_up(cpu);
	fpu_update_init();
	log_config();
}

bool fpu_init_cpu(struct fpu_cpu *cpu)
{
	struct registers own = read_registers();

	if (!same_registers(&own, &boot_registers))
		return false;
	enable_instructions();
	enable_user_components();
	if (!enable_supervisor_components(cpu) || !fpu_buffers_init_cpu(cpu))
		return false;
	fpu_cpu_up(cpu);
	return true;
}
