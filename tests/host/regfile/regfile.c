/*
 * The software register file: set-up, what programs do to registers, and the instructions that are not
 * XSAVE and XRSTOR.
 */
#include <string.h>

#include "internal.h"
#include "fpu/insn.h"

#define AVX512 0xe0ul
#define U_CET_BYTES 8

struct regfile regfile;

/* Size, standard offset and ECX of sub-leaf i, as Intel's CPUs have them. */
const struct regfile_component components[XF_COUNT] = {
	[XF_AVX] = { 256, 576, 0 },	  [XF_BNDREGS] = { 64, 960, 0 },    [XF_BNDCSR] = { 64, 1024, 0 },
	[XF_OPMASK] = { 64, 1088, 0 },	  [XF_ZMM_HI256] = { 512, 1152, 0 }, [XF_HI16_ZMM] = { 1024, 1664, 0 },
	[XF_PKRU] = { 8, 2688, 0 },	  [XF_PASID] = { 8, 0, 1 },	    [XF_CET_U] = { 16, 0, 1 },
	[XF_CET_S] = { 24, 0, 1 },	  [XF_TILECFG] = { 64, 2752, 2 },   [XF_TILEDATA] = { 8192, 2816, 6 },
};

int fault(int vector)
{
	regfile.faults++;
	regfile.last_fault = vector;
	return -1;
}

/* --- Set-up and the program's side --- */

struct cpuid_regs regfile_cpuid(u32 leaf, u32 subleaf)
{
	u64 user = regfile.layout.user, supervisor = regfile.layout.supervisor;

	if (leaf != 0xd)
		return (struct cpuid_regs){ 0 };
	if (subleaf == 0)
		return (struct cpuid_regs){ .eax = (u32)user };
	if (subleaf == 1)
		return (struct cpuid_regs){ .eax = 0x1f, .ecx = (u32)supervisor };
	if (subleaf >= XF_COUNT || !((user | supervisor) >> subleaf & 1))
		return (struct cpuid_regs){ 0 };
	return (struct cpuid_regs){ .eax = components[subleaf].size, .ebx = components[subleaf].offset,
				    .ecx = components[subleaf].ecx };
}

void set_initial(struct regfile_cpu *cpu, u32 feature)
{
	if (feature == XF_X87) {
		memset(&cpu->legacy, 0, X87_FIRST);
		memset(cpu->legacy.st, 0, sizeof(cpu->legacy.st));
		cpu->legacy.fcw = FCW_INIT;
	} else if (feature == XF_SSE) {
		cpu->legacy.mxcsr = MXCSR_INIT;
		cpu->legacy.mxcsr_mask = REGFILE_MXCSR_MASK;
		memset(cpu->legacy.xmm, 0, sizeof(cpu->legacy.xmm));
	} else {
		memset(cpu->value[feature], 0, components[feature].size);
	}
}

void regfile_reset(u64 user, u64 supervisor)
{
	memset(&regfile, 0, sizeof(regfile));
	regfile.layout.user = user;
	regfile.layout.supervisor = supervisor;
	xstate_probe(&regfile.layout, regfile_cpuid);
	regfile.knobs.torn_after = -1;
	regfile.random = 1;
	for (u32 c = 0; c < REGFILE_CPUS; c++) {
		struct regfile_cpu *cpu = &regfile.cpu[c];

		cpu->xcr0 = user;
		cpu->xss = supervisor;
		cpu->xmodified = ~0ul;
		for (u32 i = 0; i < XF_COUNT; i++)
			set_initial(cpu, i);
	}
}

u32 regfile_size(u32 feature)
{
	if (feature == XF_X87)
		return X87_FIRST + sizeof(this()->legacy.st);
	if (feature == XF_SSE)
		return 8 + sizeof(this()->legacy.xmm);
	return components[feature].size;
}

void regfile_write(u32 feature, const void *value)
{
	struct regfile_cpu *cpu = this();
	const u8 *bytes = value;

	cpu->xmodified |= BIT(feature);
	if (feature == XF_X87) {
		memcpy(&cpu->legacy, bytes, X87_FIRST);
		memcpy(cpu->legacy.st, bytes + X87_FIRST, sizeof(cpu->legacy.st));
	} else if (feature == XF_SSE) {
		memcpy(&cpu->legacy.mxcsr, bytes, 4);
		memcpy(cpu->legacy.xmm, bytes + 8, sizeof(cpu->legacy.xmm));
	} else {
		memcpy(cpu->value[feature], bytes, components[feature].size);
	}
}

static void read_value(const struct regfile_cpu *cpu, u32 feature, void *value)
{
	u8 *bytes = value;

	if (feature == XF_X87) {
		memcpy(bytes, &cpu->legacy, X87_FIRST);
		memcpy(bytes + X87_FIRST, cpu->legacy.st, sizeof(cpu->legacy.st));
	} else if (feature == XF_SSE) {
		memcpy(bytes, &cpu->legacy.mxcsr, 8);
		memcpy(bytes + 8, cpu->legacy.xmm, sizeof(cpu->legacy.xmm));
	} else {
		memcpy(bytes, cpu->value[feature], components[feature].size);
	}
}

void regfile_read(u32 feature, void *value)
{
	read_value(this(), feature, value);
}

bool holds_initial(const struct regfile_cpu *cpu, u32 feature)
{
	static struct regfile_cpu fresh;
	static u8 a[REGFILE_MAX_COMPONENT], b[REGFILE_MAX_COMPONENT];

	set_initial(&fresh, feature);
	read_value(&fresh, feature, a);
	read_value(cpu, feature, b);
	return !memcmp(a, b, regfile_size(feature));
}

bool regfile_is_initial(u32 feature)
{
	return holds_initial(this(), feature);
}

/* --- The others --- */

u64 xgetbv(u32 index)
{
	struct regfile_cpu *cpu = this();

	return index ? components_in_use(cpu) & cpu->xcr0 : cpu->xcr0;
}

static bool complete(u64 value, u64 group)
{
	return !(value & group) || (value & group) == group;
}

void xsetbv(u64 value)
{
	bool valid = value & 1 && !(value & ~regfile.layout.user) && complete(value, AVX512) &&
		     complete(value, 0x18) && complete(value, 0x60000) && (!(value & 4) || value & 2) &&
		     (!(value & AVX512) || value & 4);

	if (valid)
		this()->xcr0 = value;
	else
		fault(EXC_GP);
}

/* True after raising #NM. PKRU is not gated by TS. */
static bool switched(void)
{
	return this()->ts && fault(EXC_NM);
}

static void touch(u32 feature)
{
	this()->xmodified |= BIT(feature);
}

u32 rdpkru(void)
{
	u32 pkru;

	memcpy(&pkru, this()->value[XF_PKRU], sizeof(pkru));
	return pkru;
}

void wrpkru(u32 pkru)
{
	memcpy(this()->value[XF_PKRU], &pkru, sizeof(pkru));
	touch(XF_PKRU);
}

void ldmxcsr(u32 mxcsr)
{
	if (switched())
		return;
	if (mxcsr & ~REGFILE_MXCSR_MASK) {
		fault(EXC_GP);
		return;
	}
	this()->legacy.mxcsr = mxcsr;
	touch(XF_SSE);
}

u32 stmxcsr(void)
{
	switched();
	return this()->legacy.mxcsr;
}

void fninit(void)
{
	struct xsave_area *legacy = &this()->legacy;

	if (switched())
		return;
	memset(legacy, 0, X87_FIRST);
	legacy->fcw = FCW_INIT;
	touch(XF_X87);
}

void fldcw(u16 control)
{
	if (switched())
		return;
	this()->legacy.fcw = control;
	touch(XF_X87);
}

u16 fnstcw(void)
{
	switched();
	return this()->legacy.fcw;
}

void tilerelease(void)
{
	this()->xmodified |= XFM_TILES;
	set_initial(this(), XF_TILECFG);
	set_initial(this(), XF_TILEDATA);
}

void clts(void)
{
	this()->ts = false;
}

void stts(void)
{
	this()->ts = true;
}

/* Where an MSR lives, and the bits that may be set in it. NULL: there is no such MSR. */
static void *msr_place(u32 msr, u64 *allowed)
{
	struct regfile_cpu *cpu = this();

	*allowed = ~0ul;
	switch (msr) {
	case MSR_IA32_XSS:
		*allowed = regfile.layout.supervisor;
		return &cpu->xss;
	case MSR_IA32_XFD:
		*allowed = BIT(XF_TILEDATA) & regfile.layout.user;
		return &cpu->xfd;
	case MSR_IA32_XFD_ERR:
		*allowed = BIT(XF_TILEDATA) & regfile.layout.user;
		return &cpu->xfd_err;
	case MSR_IA32_PASID:
		*allowed = 0x800fffff;
		return cpu->value[XF_PASID];
	case MSR_IA32_U_CET:
		*allowed = ~0x3c0ul;
		return cpu->value[XF_CET_U];
	case MSR_IA32_PL3_SSP:
		*allowed = ~3ul;
		return cpu->value[XF_CET_U] + U_CET_BYTES;
	default:
		return NULL;
	}
}

u64 read_fpu_msr(u32 msr)
{
	u64 allowed, value = 0;
	const void *at = msr_place(msr, &allowed);

	if (at)
		memcpy(&value, at, sizeof(value));
	else
		fault(EXC_GP);
	return value;
}

void write_fpu_msr(u32 msr, u64 value)
{
	u64 allowed;
	void *at = msr_place(msr, &allowed);

	if (!at || value & ~allowed) {
		fault(EXC_GP);
		return;
	}
	memcpy(at, &value, sizeof(value));
	if (msr == MSR_IA32_PASID)
		touch(XF_PASID);
	if (msr == MSR_IA32_U_CET || msr == MSR_IA32_PL3_SSP)
		touch(XF_CET_U);
}
