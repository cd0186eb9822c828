/*
 * Who owns the registers. This page is the whole idea; the other files carry it out.
 *
 * A context is one set of values for all the extended registers that a program can see. Its current value is
 * in a CPU's registers, in memory (its fpstate), or in both:
 *
 *   state     registers  memory   who may write
 *   ACTIVE    valid      stale    user code, through the registers
 *   CACHED    valid      valid    nobody, or they drift apart
 *   INACTIVE  not valid  valid    the kernel, through memory
 *
 * Registers are valid for context F on CPU c if and only if
 *
 *      owner[c] == F  and  F.last_cpu == c,        read where nothing can preempt,
 *
 * and not within a verb or the beginning of a kernel section, where nobody else can look.
 *
 * To invalidate, change whichever side you control: the CPU's (owner) when you are about to overwrite the
 * registers, the context's (last_cpu) when you are about to overwrite the memory. An owner is compared and
 * never dereferenced, so the name of a dead context is harmless: every context is born with last_cpu = none.
 *
 * ACTIVE is the state in which user code runs, and TASK_NEED_FPU_LOAD is its opposite: set if and only if the
 * running task's active context is not ACTIVE. The four verbs of verbs.h are the only code that changes
 * registers, owner, last_cpu and that flag, and they change them together, interrupts off. (An integer-only task
 * has nothing that could be loaded: there the flag says that CR0.TS and the registers are not yet as intonly.h
 * wants them in user mode.)
 */
#ifndef FPU_CONTEXT_H
#define FPU_CONTEXT_H

#include "fpu/xstate.h"
#include "kernel/types.h"

#define FPU_NO_CPU (-1)

enum fpu_state { FPU_NONE, FPU_ACTIVE, FPU_CACHED, FPU_INACTIVE, FPU_STATES };

enum fpu_event {
#define FPU_EVENT(name, text) FPU_EV_##name,
#include "fpu/transitions.def"
	FPU_EVENTS
};

/* The line of source that asks for a transition. */
struct fpu_site {
	const char *file, *function;
	u32 line;
};
#define FPU_SITE                                                                                   \
	({                                                                                         \
		static const struct fpu_site site_ = { __FILE__, __func__, __LINE__ };             \
		&site_;                                                                            \
	})

/* One transition, as the context itself remembers it: what a story is told from. */
struct fpu_step {
	u8 event, from, to, moved; /* one store; moved: the values were saved or loaded */
	s32 cpu;
	const struct fpu_site *site;
};
#define FPU_HISTORY 16

struct fpu_context {
	struct fpu_step history[FPU_HISTORY];
	struct xsave_area *fpstate; /* compacted, sized for every enabled component; NULL: integer-only */
	s32 last_cpu;		    /* whose registers last held it, or FPU_NO_CPU */
	bool bad;		    /* its fpstate could not be loaded: the task must end, or exec */
	bool guest;	    /* runs in place of a task's own (fpu/guest.h) */
	bool in_frame;		    /* between it and a signal frame: what its task has now will not last */
	u32 pkru;		    /* while the task does not run; RDPKRU has the value while it does */
	u64 xfd;		    /* its IA32_XFD: components that it has not used yet and has no room for */
	u32 steps;		    /* transitions so far; history[steps % FPU_HISTORY] is the oldest */
	u64 id;			    /* never used twice; 0: not born */
};

/* The head of struct task, which is all that fpu/ knows of a task. */
struct fpu_task {
	union {
		volatile u32 flags; /* TASK_... of kernel/cpu.h */
		struct {
			u8 own_flags;
			volatile u8 remote_flags;
		};
	};
	int tid;
	struct fpu_context *active; /* what the registers are to hold outside the kernel; NULL: kernel thread */
	struct fpu_context user;
};

/*
 * Updates of one component (fpu/update.h). Where the present value was; and how the new one becomes the task's: it
 * waits in memory for a load, is loaded alone, has an instruction of its own, or waits for the task to come by.
 */
enum fpu_found { FPU_FOUND_REGISTERS, FPU_FOUND_MEMORY, FPU_FOUND_INIT, FPU_FOUNDS };
enum fpu_ending { FPU_ENDED_FLAG, FPU_ENDED_LOAD, FPU_ENDED_DIRECT, FPU_ENDED_QUEUED, FPU_ENDINGS };

struct fpu_counters {
	u64 saves, loads, loads_avoided, init_loads;
	u64 bytes_saved, bytes_loaded;
	u64 sections, sections_again; /* kernel FPU sections; those that found the kernel's environment in place */
	u64 traps;		      /* lazy: #NM */
	u64 buffer_bytes, invlpgs;    /* large fpstates (buffers.h): bytes copied, single pages forgotten by the TLB, */
	u64 shootdowns, shootdowns_sent, shootdowns_taken; /* other CPUs told to forget: times, messages, ours */
	u64 updates_found[FPU_FOUNDS], updates_ended[FPU_ENDINGS]; /* of one component */
	u64 model_ticks, trace_ticks; /* TSC ticks spent inside the model; inside the trace */
};

/* One for each CPU. */
struct soft_cpu;
struct fpu_cpu {
	const void *volatile owner; /* a struct fpu_context, or one of the two names below, or NULL */
	s32 id;
	bool online;	/* the registers are set up: sections are allowed */
	bool in_kernel; /* between kernel_fpu_begin and kernel_fpu_end */
	bool ts;	/* shadow of CR0.TS */
	u64 xfd;	/* shadow of IA32_XFD */
	u32 locked;	/* nesting of fpregs_lock */
	struct xsave_area *window; /* scattered fpstates: this CPU's own area, or its own address (buffers.c) */
	struct soft_cpu *soft; /* the model's registers, if the model is at work */
	struct fpu_counters counters;
};

/* Owners that are no context: a kernel section's environment, and the initial image (integer-only tasks). */
extern const char fpu_kernel_owner[], fpu_init_owner[];

static inline bool fpregs_valid(const struct fpu_cpu *cpu, const struct fpu_context *context)
{
	return cpu->owner == context && context->last_cpu == cpu->id;
}

/* The one predicate for "has vector registers to save": kernel threads and integer-only tasks have none. */
static inline bool fpu_has_registers(const struct fpu_task *task)
{
	return task->active && task->active->fpstate;
}

#endif
