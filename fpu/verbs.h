/*
 * The four verbs, after the straw man of 2016 (seed 002), and drop: the one place that says where a context's values
 * are. Registers, owner, last_cpu and the load flag change here, together, and nowhere else. Each verb takes the
 * running task, acts on its active context, and is called where nothing else on this CPU can touch the registers:
 * with interrupts off, or at the start of a kernel FPU section (in_kernel set, preemption off). event says for whom.
 * A task without vector registers must not come here.
 *
 * Inline, because a switch runs two of them: the caller names the event and the verb's branch knows the states, so
 * that the compiler looks the transition up in the table, and at run time the check of one that is legal costs
 * nothing.
 */
#ifndef FPU_VERBS_H
#define FPU_VERBS_H

#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/trace.h"

static const bool fpu_legal[FPU_EVENTS][FPU_STATES][FPU_STATES] = {
#define FPU_TRANSITION(event, from, to, policies, source, reason) [FPU_EV_##event][FPU_##from][FPU_##to] = true,
#include "fpu/transitions.def"
};

/*
 * The transition is remembered, checked against the table (else the kernel stops, with the story), and traced. moved:
 * the values have been saved or loaded on the way.
 */
static inline void fpu_note(struct fpu_cpu *cpu, struct fpu_context *context, enum fpu_event event, enum fpu_state from,
			    enum fpu_state to, const struct fpu_site *site, bool moved)
{
	struct fpu_step *step = &context->history[context->steps++ % FPU_HISTORY];

	*step = (struct fpu_step){ (u8)event, (u8)from, (u8)to, moved, cpu->id, site };
	if (unlikely(!fpu_legal[event][from][to]))
		fpu_illegal_transition(context, step);
	if (unlikely(fpu_tracing))
		fpu_trace_transition(cpu, context, step, moved ? context->fpstate->xstate_bv : 0);
}

/* The registers hold the context's values: user code may write them (ACTIVE), or nobody may (CACHED). */
static inline void fpregs_now_in_registers(struct fpu_cpu *cpu, struct fpu_task *task, struct fpu_context *context,
					   enum fpu_state to)
{
	cpu->owner = context;
	context->last_cpu = cpu->id;
	if (to == FPU_ACTIVE)
		task->own_flags &= (u8)~TASK_NEED_FPU_LOAD;
	else
		task->own_flags |= TASK_NEED_FPU_LOAD;
}

/* Memory alone holds them, and may be written. */
static inline void fpregs_now_in_memory(struct fpu_task *task, struct fpu_context *context)
{
	context->last_cpu = FPU_NO_CPU;
	task->own_flags |= TASK_NEED_FPU_LOAD;
}

/* verbs.c: the load has failed; fails closed. */
bool fpregs_load_failed(struct fpu_cpu *cpu, struct fpu_task *task, const struct fpu_site *site);

/* The registers hold nobody's values until the load is complete. */
static inline bool fpregs_load(struct fpu_cpu *cpu, struct fpu_task *task, struct fpu_context *context,
			       const struct fpu_site *site)
{
	if (unlikely(context->bad))
		return false;
	cpu->owner = NULL;
	return likely(fpu_image_load(cpu, context->fpstate)) || fpregs_load_failed(cpu, task, site);
}

/* INACTIVE to CACHED: registers valid too, nobody may write yet. False: bad image, see fpregs_move_to_cpu. */
#define fpregs_copy_to_cpu(cpu, task, event) fpregs_copy_to_cpu_at(cpu, task, event, FPU_SITE)
static inline bool fpregs_copy_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
					 const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	if (!(task->own_flags & TASK_NEED_FPU_LOAD) || fpregs_valid(cpu, context))
		return true;
	if (!fpregs_load(cpu, task, context, site))
		return false;
	fpregs_now_in_registers(cpu, task, context, FPU_CACHED);
	fpu_note(cpu, context, event, FPU_INACTIVE, FPU_CACHED, site, true);
	return true;
}

/*
 * To ACTIVE: user code may write the registers, memory is given up. Loads only if the registers are not valid
 * already. False if the fpstate could not be loaded: the registers and the fpstate are initial then, the
 * context is INACTIVE, and the task must not go on.
 */
#define fpregs_move_to_cpu(cpu, task, event) fpregs_move_to_cpu_at(cpu, task, event, FPU_SITE)
static inline bool fpregs_move_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
					 const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	if (!(task->own_flags & TASK_NEED_FPU_LOAD))
		return true;
	if (fpregs_valid(cpu, context)) {
		cpu->counters.loads_avoided += fpu_config.defers;
		fpregs_now_in_registers(cpu, task, context, FPU_ACTIVE);
		fpu_note(cpu, context, event, FPU_CACHED, FPU_ACTIVE, site, false);
		return true;
	}
	if (!fpregs_load(cpu, task, context, site))
		return false;
	fpregs_now_in_registers(cpu, task, context, FPU_ACTIVE);
	fpu_note(cpu, context, event, FPU_INACTIVE, FPU_ACTIVE, site, true);
	return true;
}

/* Memory becomes valid; an ACTIVE context becomes CACHED (owner and last_cpu name it already), the others stay. */
#define fpregs_copy_to_memory(cpu, task, event) fpregs_copy_to_memory_at(cpu, task, event, FPU_SITE)
static inline void fpregs_copy_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
					    const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	if (task->own_flags & TASK_NEED_FPU_LOAD)
		return;
	fpu_image_save(cpu, context->fpstate);
	task->own_flags |= TASK_NEED_FPU_LOAD;
	fpu_note(cpu, context, event, FPU_ACTIVE, FPU_CACHED, site, true);
}

/* To INACTIVE, saved if it was ACTIVE: memory is valid and may be written. */
#define fpregs_move_to_memory(cpu, task, event) fpregs_move_to_memory_at(cpu, task, event, FPU_SITE)
static inline void fpregs_move_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
					    const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	if (!(task->own_flags & TASK_NEED_FPU_LOAD)) {
		fpu_image_save(cpu, context->fpstate);
		fpregs_now_in_memory(task, context);
		fpu_note(cpu, context, event, FPU_ACTIVE, FPU_INACTIVE, site, true);
	} else if (fpregs_valid(cpu, context)) {
		fpregs_now_in_memory(task, context);
		fpu_note(cpu, context, event, FPU_CACHED, FPU_INACTIVE, site, false);
	}
}

/* Where the running task's values are. */
static inline enum fpu_state fpregs_state(const struct fpu_cpu *cpu, const struct fpu_task *task)
{
	if (!(task->own_flags & TASK_NEED_FPU_LOAD))
		return FPU_ACTIVE;
	return fpregs_valid(cpu, task->active) ? FPU_CACHED : FPU_INACTIVE;
}

/*
 * To INACTIVE for a context that is not ACTIVE, of the running task or of a stopped one: memory may be written. Any CPU
 * may hold it CACHED, and that CPU's owner is not ours to change; the context's side is.
 */
#define fpregs_move_cached_to_memory(cpu, task, event) fpregs_move_cached_to_memory_at(cpu, task, event, FPU_SITE)
void fpregs_move_cached_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
				      const struct fpu_site *site);

/*
 * From INACTIVE back to CACHED or ACTIVE, for registers that hold all of the context but this component: it is loaded
 * alone. False as for fpregs_move_to_cpu.
 */
#define fpregs_load_component(cpu, task, event, feature, to)                                                           \
	fpregs_load_component_at(cpu, task, event, feature, to, FPU_SITE)
bool fpregs_load_component_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, u32 feature,
			      enum fpu_state to, const struct fpu_site *site);

/* Gives the values up unsaved; to is FPU_INACTIVE (the caller has put new ones in memory) or FPU_NONE. */
#define fpregs_drop(cpu, task, event, to) fpregs_drop_at(cpu, task, event, to, FPU_SITE)
void fpregs_drop_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, enum fpu_state to,
		    const struct fpu_site *site);

/* While a context is ACTIVE its memory is stale, so that another fpstate can take its place; returns the old one. */
#define fpregs_exchange_fpstate(cpu, task, event, area) fpregs_exchange_fpstate_at(cpu, task, event, area, FPU_SITE)
struct xsave_area *fpregs_exchange_fpstate_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
					      struct xsave_area *area, const struct fpu_site *site);

/* The registers become something that is no context: they are about to be overwritten. */
static inline void fpregs_claim(struct fpu_cpu *cpu, const void *owner)
{
	cpu->owner = owner;
	if (unlikely(fpu_tracing))
		fpu_trace_owner(cpu);
}

/* A new context, INACTIVE, with an id of its own. */
void fpu_context_born(struct fpu_context *context);

#endif
