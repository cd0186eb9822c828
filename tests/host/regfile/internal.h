/* What regfile.c and xsave.c share. */
#ifndef REGFILE_INTERNAL_H
#define REGFILE_INTERNAL_H

#include "regfile.h"

#define X87_FIRST offsetof(struct xsave_area, mxcsr) /* bytes before MXCSR; the data registers follow */

struct regfile_component {
	u32 size, offset, ecx;
};
extern const struct regfile_component components[XF_COUNT];

static inline struct regfile_cpu *this(void)
{
	return &regfile.cpu[regfile.current];
}

/* Records that an instruction faulted; -1. */
int fault(int vector);

void set_initial(struct regfile_cpu *cpu, u32 feature);
bool holds_initial(const struct regfile_cpu *cpu, u32 feature);

/* XINUSE, as the init knob has it. */
u64 components_in_use(const struct regfile_cpu *cpu);

#endif
