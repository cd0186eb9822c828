/* Local descriptor tables; see ldt.c. */
#ifndef KERNEL_LDT_H
#define KERNEL_LDT_H

#include "kernel/cpu.h"

#define SELECTOR_LDT 4u /* the bit of a selector that names the local table */
#define SELECTORS_LDT (SELECTOR_LDT * 0x0001000100010001ul)

struct mm;

/* Never changed once it is installed; a new one takes its place. */
struct ldt {
	u32 count;
	u64 entry[];
};

/* The running CPU uses the table, or none. Interrupts off. */
void ldt_load(const struct ldt *ldt);
static inline void ldt_switch(const struct ldt *ldt)
{
	if (unlikely(ldt != this_cpu->ldt))
		ldt_load(ldt);
}

/* True while the switch need not care: nobody has had a table yet, and FSGSBASE is there. */
extern bool segments_plain;

/* The child has a table of its own: false when memory is out. With parent->lock. */
bool ldt_fork(struct mm *child, const struct mm *parent);
void ldt_free(struct ldt *ldt);

/* The four selectors with 0 for those of the local table that can't be loaded any more. Interrupts off. */
u64 ldt_usable_selectors(u64 selectors);

#endif
