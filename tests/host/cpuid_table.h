/* cpuid_table.h - a table of tests/cpuid as a CPUID instruction; its lines are described in xstate.c. */
#ifndef CPUID_TABLE_H
#define CPUID_TABLE_H

#include "fpu/xstate.h"
#include "kernel/insn.h"

#define CPUID_TABLES "tests/cpuid/"
#define MAX_LINES 64

static struct {
	u32 leaf, subleaf;
	struct cpuid_regs regs;
} lines[MAX_LINES];
static u32 nlines;

static struct cpuid_regs table_cpuid(u32 leaf, u32 subleaf)
{
	for (u32 i = 0; i < nlines; i++)
		if (lines[i].leaf == leaf && lines[i].subleaf == subleaf)
			return lines[i].regs;
	return (struct cpuid_regs){ 0 };
}

static void read_table(const char *file)
{
	char path[300], line[200];
	FILE *f;

	snprintf(path, sizeof(path), CPUID_TABLES "%s", file);
	f = fopen(path, "r");
	assert_non_null(f);
	for (nlines = 0; fgets(line, sizeof(line), f); nlines++) {
		struct cpuid_regs *r = &lines[nlines].regs;

		assert_true(nlines < MAX_LINES);
		assert_int_equal(sscanf(line, "%x %x %x %x %x %x", &lines[nlines].leaf, &lines[nlines].subleaf,
					&r->eax, &r->ebx, &r->ecx, &r->edx),
				 6);
	}
	fclose(f);
}

#endif
