/*
 * The verbs' rare part: a load that fails, values that are given up, a birth. As for all of verbs.h, a change to
 * owner, last_cpu or the load flag belongs in one of these two files and nowhere else.
 */
#include "fpu/cpu.h"
#include "fpu/verbs.h"
#include "kernel/insn.h"

const char fpu_kernel_owner[] = "kernel", fpu_init_owner[] = "init";

/* A load that faults half-way leaves a mixture in the registers (museum entry 14); they are initial by now. */
bool fpregs_load_failed(struct fpu_cpu *cpu, struct fpu_task *task, const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	context->bad = true; /* for good: a second try would find a loadable image and carry on */
	fpu_image_reset(context->fpstate, fpu_config.mask & ~context->xfd);
	fpregs_now_in_memory(task, context);
	fpu_note(cpu, context, FPU_EV_BAD_IMAGE, FPU_INACTIVE, FPU_INACTIVE, site, false);
	return false;
}

void fpregs_drop_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, enum fpu_state to,
		    const struct fpu_site *site)
{
	struct fpu_context *context = task->active;
	enum fpu_state from = fpregs_state(cpu, task);

	fpregs_now_in_memory(task, context);
	fpu_note(cpu, context, event, from, to, site, false);
}

void fpregs_move_cached_to_memory_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
				      const struct fpu_site *site)
{
	struct fpu_context *context = task->active;
	bool gone = context->last_cpu == FPU_NO_CPU || (context->last_cpu == cpu->id && cpu->owner != context);

	fpregs_now_in_memory(task, context);
	if (!gone) /* as far as can be told from here */
		fpu_note(cpu, context, event, FPU_CACHED, FPU_INACTIVE, site, false);
}

bool fpregs_load_component_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event, u32 feature,
			      enum fpu_state to, const struct fpu_site *site)
{
	struct fpu_context *context = task->active;

	cpu->owner = NULL;
	if (!fpu_image_load_component(cpu, context->fpstate, feature))
		return fpregs_load_failed(cpu, task, site);
	fpregs_now_in_registers(cpu, task, context, to);
	fpu_note(cpu, context, event, FPU_INACTIVE, to, site, true);
	return true;
}

struct xsave_area *fpregs_exchange_fpstate_at(struct fpu_cpu *cpu, struct fpu_task *task, enum fpu_event event,
					      struct xsave_area *area, const struct fpu_site *site)
{
	struct fpu_context *context = task->active;
	struct xsave_area *old = context->fpstate;

	context->fpstate = area;
	fpu_note(cpu, context, event, fpregs_state(cpu, task), FPU_ACTIVE, site, false);
	return old;
}

void fpu_context_born(struct fpu_context *context)
{
	static u64 last_id;
	u64 flags;

	context->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	context->last_cpu = FPU_NO_CPU;
	context->steps = 0;
	flags = irq_save(); /* a birth is preemptible, the trace is not */
	fpu_note(fpu_this_cpu(), context, FPU_EV_BIRTH, FPU_NONE, FPU_INACTIVE, FPU_SITE, false);
	irq_restore(flags);
}
