/*
 * The two supervisor components that Tarry does not give to tasks: CET_S, the shadow-stack pointers of rings
 * 0 to 2, and UINTR, whose saving clears UINV, so that a saved context could not stay in the registers.
 */
#include "kernel/insn.h"
#include "tests/ring0/supervisor.h"

#define MSR_PL0_SSP 0x6a4
#define MSR_UINTR_RR 0x985
#define MSR_UINTR_HANDLER 0x986
#define MSR_UINTR_STACKADJUST 0x987
#define MSR_UINTR_MISC 0x988
#define MSR_UINTR_PD 0x989
#define MSR_UINTR_TT 0x98a

#define CPUID7_EDX_UINTR BIT(5)
#define UINV_MASK 0xff00000000ul
#define UIF BIT(63) /* in the image, beside MISC; it has no MSR */
#define MISC_RESERVED 0x7fffff0000000000ul
#define PD_RESERVED 0x3ful
#define TT_RESERVED 0xeul
#define SSP_LOW_BITS 3ul
#define ADDRESS_BITS 48
#define RINGS_WITH_SSP 3

/* The places of UINTR's image. */
enum { HANDLER, STACKADJUST, MISC, PD, RR, TT };

static const u32 uintr_msr[UINTR_QWORDS] = { MSR_UINTR_HANDLER, MSR_UINTR_STACKADJUST, MSR_UINTR_MISC,
					     MSR_UINTR_PD,	MSR_UINTR_RR,	       MSR_UINTR_TT };

static bool canonical(u64 address)
{
	s64 upper = (s64)address >> (ADDRESS_BITS - 1);

	return !upper || upper == -1;
}

/* False if all words are 0, that is, in their initial state. */
static bool store(u64 *to, const u64 *from, u32 words)
{
	u64 any = 0;

	for (u32 i = 0; i < words; i++)
		any |= from[i];
	for (u32 i = 0; any && i < words; i++)
		to[i] = from[i];
	return any;
}

static bool cet_s_save(struct soft_cpu *cpu, u64 *image)
{
	u64 ssp[RINGS_WITH_SSP];

	for (u32 i = 0; i < RINGS_WITH_SSP; i++)
		ssp[i] = rdmsr(MSR_PL0_SSP + i);
	return store(image, ssp, RINGS_WITH_SSP);
}

static bool cet_s_valid(const struct soft_cpu *cpu, const u64 *image)
{
	for (u32 i = 0; i < RINGS_WITH_SSP; i++)
		if (image[i] & SSP_LOW_BITS || !canonical(image[i]))
			return false;
	return true;
}

static void cet_s_load(struct soft_cpu *cpu, const u64 *image)
{
	for (u32 i = 0; i < RINGS_WITH_SSP; i++)
		wrmsr(MSR_PL0_SSP + i, image ? image[i] : 0);
}

const struct soft_component soft_cet_s = { cet_s_save, cet_s_valid, cet_s_load };

void clear_uinv(void)
{
	if (cpuid(7, 0).edx & CPUID7_EDX_UINTR)
		wrmsr(MSR_UINTR_MISC, rdmsr(MSR_UINTR_MISC) & ~UINV_MASK);
}

static bool uintr_save(struct soft_cpu *cpu, u64 *image)
{
	u64 value[UINTR_QWORDS];
	bool uif;

	for (u32 i = 0; i < UINTR_QWORDS; i++)
		value[i] = rdmsr(uintr_msr[i]);
	asm volatile("testui" : "=@ccc"(uif));
	value[MISC] |= uif ? UIF : 0;
	clear_uinv();
	return store(image, value, UINTR_QWORDS);
}

static bool uintr_valid(const struct soft_cpu *cpu, const u64 *image)
{
	return !(rdmsr(MSR_UINTR_MISC) & UINV_MASK) && canonical(image[HANDLER]) && canonical(image[STACKADJUST]) &&
	       !(image[MISC] & MISC_RESERVED) && canonical(image[PD]) && !(image[PD] & PD_RESERVED) &&
	       canonical(image[TT]) && !(image[TT] & TT_RESERVED);
}

static void uintr_load(struct soft_cpu *cpu, const u64 *image)
{
	static const u64 initial[UINTR_QWORDS];

	image = image ? image : initial;
	for (u32 i = 0; i < UINTR_QWORDS; i++)
		wrmsr(uintr_msr[i], image[i] & ~(i == MISC ? UIF : 0));
	if (image[MISC] & UIF)
		asm volatile("stui");
	else
		asm volatile("clui");
}

const struct soft_component soft_uintr = { uintr_save, uintr_valid, uintr_load };

static u64 random_address(u64 reserved)
{
	u64 unused = 64 - ADDRESS_BITS;

	return (u64)((s64)(random_word() << unused) >> unused) & ~reserved;
}

void random_supervisor(u64 *to, u32 feature, bool with_uinv)
{
	if (random_word() % 8 == 0)
		return;
	switch (feature) {
	case XF_CET_U:
		to[0] = random_address(0xfff) | (random_word() & 0x3f) | (random_word() & BIT(10 + random_word() % 2));
		to[1] = random_address(SSP_LOW_BITS);
		break;
	case XF_CET_S:
		for (u32 i = 0; i < RINGS_WITH_SSP; i++)
			to[i] = random_address(SSP_LOW_BITS);
		break;
	case XF_UINTR:
		to[HANDLER] = random_address(0);
		to[STACKADJUST] = random_address(0);
		to[MISC] = random_word() & ~MISC_RESERVED & (with_uinv ? ~0ul : ~UINV_MASK);
		to[PD] = random_address(PD_RESERVED);
		to[RR] = random_word();
		to[TT] = random_address(TT_RESERVED);
		break;
	}
}
