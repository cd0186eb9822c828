/*
 * A software register file: CPUs whose FPU registers are memory, for host tests of the real fpu code. What a
 * real CPU decides on its own is a knob here, so that every order of events can be provoked that hardware
 * only shows now and then: the init and the modified optimisation, a restore that faults half-way, a page
 * that is not there. Follows the manual, volume 1, chapter 13, in code of its own, none of it the model's.
 */
#ifndef REGFILE_H
#define REGFILE_H

#include "fpu/xstate.h"
#include "kernel/insn.h"

#define REGFILE_CPUS 2
#define REGFILE_MAX_COMPONENT 8192
#define REGFILE_AREA 16384 /* enough for every component in either format */
#define REGFILE_MXCSR_MASK 0xffff

#define EXC_NM 7
#define EXC_GP 13
#define EXC_PF 14

/* When a save calls a component with initial contents unused. One with others is always in use. */
enum init_optimisation { INIT_NEVER, INIT_BY_CONTENT, INIT_RANDOM };

struct regfile_knobs {
	enum init_optimisation init;
	bool fip_skipped_unless_ES; /* save and restore leave FOP, FIP and FDP alone unless FSW.ES is set */
	bool modified;		    /* XSAVES leaves out what has not changed since XRSTORS of the same area */
	int torn_after;		    /* the next restore faults after that many components; -1: it does not */
	const void *absent;	    /* an access to this byte is a page fault; NULL: none is */
};

struct regfile_cpu {
	struct xsave_area legacy; /* x87 and SSE with MXCSR, at their places */
	u8 value[XF_COUNT][REGFILE_MAX_COMPONENT];
	u64 xcr0, xss, xfd, xfd_err;
	bool ts;
	/* XRSTOR_INFO: the last restore's area and XCOMP_BV; XMODIFIED: what was written since. */
	const void *restored_from;
	u64 restored_xcomp_bv, xmodified;
};

struct regfile {
	struct xstate_layout layout;
	struct regfile_knobs knobs;
	u32 current;	/* the CPU that executes instructions */
	u32 faults;	/* how many instructions have faulted, */
	int last_fault; /* and how the last one did */
	u64 random;
	struct regfile_cpu cpu[REGFILE_CPUS];
};
extern struct regfile regfile;

/* All CPUs as after reset, with these components and all of them enabled, no knob set. */
void regfile_reset(u64 user, u64 supervisor);

/* CPUID leaf 0Dh of such a CPU; everything else is zero. */
struct cpuid_regs regfile_cpuid(u32 leaf, u32 subleaf);

/* What a program does: writes a component of the current CPU's registers, whole. SSE is MXCSR, its mask
 * and the XMM registers, as they lie in an area; x87 24 bytes, then the data registers. */
void regfile_write(u32 feature, const void *value);
void regfile_read(u32 feature, void *value);
u32 regfile_size(u32 feature);

/* Whether the current CPU's component has its initial value. */
bool regfile_is_initial(u32 feature);

#endif
