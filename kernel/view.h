/*
 * What the live screen shows: a picture of all CPUs and contexts, from facts that screen.c collects. Pure code, the
 * same in the kernel and in host tests.
 *
 * Down: the CPUs, and the contexts; across: the components. Each context has a colour. A context's cells have the
 * letter of its state, A, C or I, small where the component has its initial value in memory; a CPU's cells the letter
 * and colour of what its registers hold: K the kernel's, i initial values, x values that are good for nobody. What
 * breaks the rule of fpu/context.h is on red.
 */
#ifndef KERNEL_VIEW_H
#define KERNEL_VIEW_H

#include "fpu/context.h"
#include "kernel/types.h"

#define VIEW_COLUMNS 80
#define VIEW_ROWS 25
#define VIEW_CPUS 16
#define VIEW_CONTEXTS 16
#define VIEW_STEPS 5

/* An owner that is no shown context. */
enum { VIEW_NOBODY = -1, VIEW_KERNEL = -2, VIEW_INITIAL = -3, VIEW_OTHER = -4 };

struct view_cpu {
	bool judged; /* it stands still between transitions: the rule must hold on it */
	bool in_kernel, ts;
	s32 owner;   /* a context's place in the view, or one of the above */
	s32 runs;	     /* likewise: VIEW_NOBODY for a kernel thread, VIEW_OTHER */
};

struct view_context {
	char name[15];		 /* of its task, or "guest of" that */
	int tid;
	bool integer_only, load_flag;
	s32 home;		 /* the CPU where it runs or ran last */
	s32 last_cpu;
	u64 in_use;		 /* XSTATE_BV in memory */
	enum fpu_state expected; /* what its newest transition says, if that is the one being shown; else FPU_NONE */
};

struct view {
	u32 ncpus, ncontexts, hidden; /* hidden: contexts that found no place */
	struct view_cpu cpu[VIEW_CPUS];
	struct view_context context[VIEW_CONTEXTS];
	u64 features;
	u64 transitions, saves, loads, avoided;
	const char *policy;
	bool waits;			     /* the machine is held */
	char step[VIEW_STEPS][VIEW_COLUMNS]; /* the last transitions, the newest first */
};

/* By the rule. FPU_NONE for an integer-only one. */
enum fpu_state view_state(const struct view *view, u32 context);

/* What contradicts the rule in one context, as a text; NULL if nothing does. */
const char *view_violation(const struct view *view, u32 context);

/* One cell, as VGA text memory has it: the attribute in the upper byte. */
u16 view_cell_of_cpu(const struct view *view, u32 cpu, u32 feature);
u16 view_cell_of_context(const struct view *view, u32 context, u32 feature);

void view_draw(const struct view *view, u16 screen[VIEW_ROWS][VIEW_COLUMNS]);

#endif
