/*
 * The one place that says where a context's values are: registers, owner, last_cpu and the load flag change
 * here, together, and nowhere else. Every change is checked against transitions.def; one that is not in the
 * table stops the kernel with the context's story. Always called with interrupts off, on the task's own CPU.
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

static void note(struct fpu_cpu *cpu, struct fpu_context *context, const struct fpu_step *step, u64 moved)
{
	context->history[context->steps++ % FPU_HISTORY] = *step;
	if (unlikely(!legal[step->event][step->from][step->to]))
		fpu_illegal_transition(context, step);
	if (unlikely(fpu_tracing))
		fpu_trace_transition(cpu, context, step, moved);
}

/* The registers become what `to` says they are. moved: components saved or loaded on the way. */
static void become(struct fpu_cpu *cpu, struct fpu_task *task, const struct fpu_step *step, u64 moved)
{
	struct fpu_context *context = task->active;

	switch (step->to) {
	case FPU_ACTIVE:
	case FPU_CACHED:
		cpu->owner = context;
		context->last_cpu = cpu->id;
		break;
	default:
		context->last_cpu = FPU_NO_CPU;
	}
	if (step->to == FPU_ACTIVE)
		task->own_flags &= (u8)~TASK_NEED_FPU_LOAD;
	else
		task->own_flags |= TASK_NEED_FPU_LOAD;
	note(cpu, context, step, moved);
}

#define STEP(event_, from_, to_) \
	((struct fpu_step){ .event = (u8)(event_), .from = (u8)(from_), .to = (u8)(to_), .cpu = (u8)cpu->id, .site = site })

/* Loads the context's fpstate; fails closed. */
static bool load(struct fpu_cpu *cpu, struct fpu_task *task, const struct fpu_site *site)
{
	cpu->owner = NULL; /* a load that faults half-way leaves a mixture (museum entry 14) */
	if (likely(fpu_image_load(cpu, task->active->fpstate)))
		return true;
	fpu_image_reset(task->active->fpstate);
	become(cpu, task, &STEP(FPU_EV_BAD_IMAGE, FPU_INACTIVE, FPU_INACTIVE), 0);
	return false;
}

bool fpregs_copy_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site)
{
	if (state_of(cpu, task) != FPU_INACTIVE)
		return true;
	if (!load(cpu, task, site))
		return false;
	become(cpu, task, &STEP(event, FPU_INACTIVE, FPU_CACHED), task->active->fpstate->xstate_bv);
	return true;
}

bool fpregs_move_to_cpu_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site)
{
	enum fpu_state from = state_of(cpu, task);

	if (from == FPU_ACTIVE)
		return true;
	if (from == FPU_CACHED)
		cpu->counters.loads_avoided++;
	else if (!load(cpu, task, site))
		return false;
	become(cpu, task, &STEP(event, from, FPU_ACTIVE), from == FPU_CACHED ? 0 : task->active->fpstate->xstate_bv);
	return true;
}

void fpregs_copy_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site)
{
	if (task->own_flags & TASK_NEED_FPU_LOAD)
		return;
	fpu_image_save(cpu, task->active->fpstate);
	become(cpu, task, &STEP(event, FPU_ACTIVE, FPU_CACHED), task->active->fpstate->xstate_bv);
}

void fpregs_move_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, const struct fpu_site *site)
{
	enum fpu_state from = state_of(cpu, task);

	if (from == FPU_INACTIVE)
		return;
	if (from == FPU_ACTIVE)
		fpu_image_save(cpu, task->active->fpstate);
	become(cpu, task, &STEP(event, from, FPU_INACTIVE), from == FPU_ACTIVE ? task->active->fpstate->xstate_bv : 0);
}

void fpregs_drop_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, enum fpu_state to, const struct fpu_site *site)
{
	become(cpu, task, &STEP(event, state_of(cpu, task), to), 0);
}

void fpregs_claim(struct fpu_cpu *cpu, const void *owner)
{
	cpu->owner = owner;
	if (unlikely(fpu_tracing))
		fpu_trace_owner(cpu);
}

void fpu_context_born(struct fpu_context *context)
{
	const struct fpu_site *site = FPU_SITE;
	static u64 last_id;
	struct fpu_cpu *cpu = fpu_this_cpu();

	context->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	context->last_cpu = FPU_NO_CPU;
	context->steps = 0;
	note(cpu, context, &STEP(FPU_EV_BIRTH, FPU_NONE, FPU_INACTIVE), 0);
}
