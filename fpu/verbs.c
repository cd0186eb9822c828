/*
 * The one place that says where a context's values are: registers, owner, last_cpu and the load flag change
 * here, together, and nowhere else. Every change is checked against transitions.def; one that is not in the
 * table stops the kernel with the context's story. Called with interrupts off, on the task's own CPU (a birth:
 * anywhere).
 */
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/trace.h"
#include "fpu/verbs.h"

const char fpu_kernel_owner[] = "kernel", fpu_init_owner[] = "init";

static const bool legal[FPU_EVENTS][FPU_STATES][FPU_STATES] = {
#define FPU_TRANSITION(event, from, to, policies, source, reason) [FPU_EV_##event][FPU_##from][FPU_##to] = true,
#include "fpu/transitions.def"
};

static enum fpu_state state_of(const struct fpu_cpu *cpu, const struct fpu_task *task)
{
	if (!(task->own_flags & TASK_NEED_FPU_LOAD))
		return FPU_ACTIVE;
	return fpregs_valid(cpu, task->active) ? FPU_CACHED : FPU_INACTIVE;
}

/* The transition is remembered, checked against the table, and traced. moved: components saved or loaded. */
static inline void note(struct fpu_cpu *cpu, struct fpu_context *context, enum fpu_event event, enum fpu_state from,
			enum fpu_state to, const struct fpu_site *site, u64 moved)
{
	struct fpu_step *step = &context->history[context->steps++ % FPU_HISTORY];

	*step = (struct fpu_step){ (u8)event, (u8)from, (u8)to, (u8)cpu->id, site };
	if (unlikely(!legal[event][from][to]))
		fpu_illegal_transition(context, step);
	if (unlikely(fpu_tracing))
		fpu_trace_transition(cpu, context, step, moved);
}

/* The registers hold the context's values: user code may write them (ACTIVE), or nobody may (CACHED). */
static inline void now_in_registers(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_state to)
{
	cpu->owner = task->active;
	task->active->last_cpu = cpu->id;
	if (to == FPU_ACTIVE)
		task->own_flags &= (u8)~TASK_NEED_FPU_LOAD;
	else
		task->own_flags |= TASK_NEED_FPU_LOAD;
}

/* Memory alone holds them, and may be written. */
static inline void now_in_memory(struct fpu_task *task)
{
	task->active->last_cpu = FPU_NO_CPU;
	task->own_flags |= TASK_NEED_FPU_LOAD;
}

/* Loads the context's fpstate; fails closed. A load that faults half-way leaves a mixture (museum entry 14). */
static inline bool load(struct fpu_cpu *cpu, struct fpu_task *task, const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	if (unlikely(context->bad))
		return false;
	cpu->owner = NULL;
	if (likely(fpu_image_load(cpu, context->fpstate)))
		return true;
	context->bad = true; /* for good: a second try would find a loadable image and carry on */
	fpu_image_reset(context->fpstate);
	now_in_memory(task);
	note(cpu, context, FPU_EV_BAD_IMAGE, FPU_INACTIVE, FPU_INACTIVE, site, 0);
	return false;
}

bool fpregs_copy_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
			   const struct fpu_site *site)
{
	if (state_of(cpu, task) != FPU_INACTIVE)
		return true;
	if (!load(cpu, task, site))
		return false;
	now_in_registers(cpu, task, FPU_CACHED);
	note(cpu, task->active, event, FPU_INACTIVE, FPU_CACHED, site, task->active->fpstate->xstate_bv);
	return true;
}

bool fpregs_move_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
			   const struct fpu_site *site)
{
	struct fpu_context *context = task->active;
	bool cached = fpregs_valid(cpu, context);

	if (!(task->own_flags & TASK_NEED_FPU_LOAD))
		return true;
	if (cached)
		cpu->counters.loads_avoided++;
	else if (!load(cpu, task, site))
		return false;
	now_in_registers(cpu, task, FPU_ACTIVE);
	note(cpu, context, event, cached ? FPU_CACHED : FPU_INACTIVE, FPU_ACTIVE, site,
	     cached ? 0 : context->fpstate->xstate_bv);
	return true;
}

void fpregs_copy_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
			      const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	if (task->own_flags & TASK_NEED_FPU_LOAD)
		return;
	fpu_image_save(cpu, context->fpstate); /* the registers stay valid: owner and last_cpu name us already */
	task->own_flags |= TASK_NEED_FPU_LOAD;
	note(cpu, context, event, FPU_ACTIVE, FPU_CACHED, site, context->fpstate->xstate_bv);
}

void fpregs_move_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
			      const struct fpu_site *site)
{
	struct fpu_context *context = task->active;
	enum fpu_state from = state_of(cpu, task);

	if (from == FPU_INACTIVE)
		return;
	if (from == FPU_ACTIVE)
		fpu_image_save(cpu, context->fpstate);
	now_in_memory(task);
	note(cpu, context, event, from, FPU_INACTIVE, site, from == FPU_ACTIVE ? context->fpstate->xstate_bv : 0);
}

void fpregs_drop_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, enum fpu_state to,
		    const struct fpu_site *site)
{
	enum fpu_state from = state_of(cpu, task);

	now_in_memory(task);
	note(cpu, task->active, event, from, to, site, 0);
}

void fpregs_claim(struct fpu_cpu *cpu, const void *owner)
{
	cpu->owner = owner;
	if (unlikely(fpu_tracing))
		fpu_trace_owner(cpu);
}

void fpu_context_born(struct fpu_context *context)
{
	static u64 last_id;
	u64 flags;

	context->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	context->last_cpu = FPU_NO_CPU;
	context->steps = 0;
	flags = irq_save(); /* a birth is preemptible, the trace is not */
	note(fpu_this_cpu(), context, FPU_EV_BIRTH, FPU_NONE, FPU_INACTIVE, FPU_SITE, 0);
	irq_restore(flags);
}
