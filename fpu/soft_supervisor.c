/*
 * The model's supervisor components. PASID is modelled: no CPU that Tarry is tested on has it, so its one
 * register lives in soft_cpu. CET_U is real: two MSRs of the CPU, which nothing but the model writes while
 * it is in charge. Must never let a value reach an MSR that WRMSR would refuse.
 */
#include "fpu/insn.h"
#include "fpu/soft.h"

#define U_CET_RESERVED 0x3c0ul
#define U_CET_WAITING (BIT(10) | BIT(11)) /* SUPPRESS and TRACKER: never both */
#define SSP_LOW_BITS 3ul
#define ADDRESS_BITS 48

static bool pasid_save(struct soft_cpu *cpu, u64 *image)
{
	if (cpu->pasid)
		image[0] = cpu->pasid;
	return cpu->pasid;
}

static bool pasid_valid(const struct soft_cpu *cpu, const u64 *image)
{
	return !(image[0] & ~(PASID_MASK | PASID_VALID));
}

static void pasid_load(struct soft_cpu *cpu, const u64 *image)
{
	cpu->pasid = image ? image[0] : 0;
}

const struct soft_component soft_pasid = { pasid_save, pasid_valid, pasid_load };

static bool canonical(u64 address)
{
	s64 upper = (s64)address >> (ADDRESS_BITS - 1);

	return !upper || upper == -1;
}

static bool cet_u_save(struct soft_cpu *cpu, u64 *image)
{
	u64 u_cet = read_fpu_msr(MSR_IA32_U_CET), ssp = read_fpu_msr(MSR_IA32_PL3_SSP);

	if (!u_cet && !ssp)
		return false;
	image[0] = u_cet;
	image[1] = ssp;
	return true;
}

static bool cet_u_valid(const struct soft_cpu *cpu, const u64 *image)
{
	return !(image[0] & U_CET_RESERVED) && (image[0] & U_CET_WAITING) != U_CET_WAITING && canonical(image[0]) &&
	       !(image[1] & SSP_LOW_BITS) && canonical(image[1]);
}

static void cet_u_load(struct soft_cpu *cpu, const u64 *image)
{
	write_fpu_msr(MSR_IA32_U_CET, image ? image[0] : 0);
	write_fpu_msr(MSR_IA32_PL3_SSP, image ? image[1] : 0);
}

const struct soft_component soft_cet_u = { cet_u_save, cet_u_valid, cet_u_load };
