/*
 * Contexts from birth to death: make, fork, exec, exit; and CPUs that come and go. A context gets one fpstate of full
 * size when it is made, because the switch path can't allocate. It is born with an id never used before and with
 * last_cpu = none, so that no CPU's memory of a dead one in the same place can be taken for it.
 */
#include "fpu/buffers.h"
#include "fpu/cpu.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/intonly.h"
#include "fpu/policy.h"
#include "fpu/setup.h"
#include "fpu/verbs.h"
#include "kernel/insn.h"
#include "kernel/string.h"

/* What a context can hold before it has used a dynamic component. */
static u64 first_features(void)
{
	return fpu_config.mask & ~fpu_config.dynamic;
}

struct xsave_area *fpu_fpstate_alloc(u64 features)
{
	bool large = features & fpu_config.dynamic;
	struct xsave_area *area = large ? fpu_buffer_alloc() : fpu_area_alloc(fpu_config.size);

	if (area)
		fpu_image_reset(area, features);
	return area;
}

void fpu_fpstate_free(struct xsave_area *area)
{
	if (area && fpu_is_large(area))
		fpu_buffer_free(area);
	else
		fpu_area_free(area);
}

bool fpu_create(struct fpu_task *task, bool integer_only)
{
	task->user = (struct fpu_context){ .pkru = PKRU_DEFAULT, .xfd = fpu_config.dynamic };
	task->active = &task->user;
	task->own_flags |= TASK_NEED_FPU_LOAD;
	if (!integer_only && !(task->user.fpstate = fpu_fpstate_alloc(first_features())))
		return false;
	fpu_context_born(&task->user);
	return true;
}

void fpu_free(struct fpu_task *task)
{
	FPU_POINT();
	fpu_fpstate_free(task->user.fpstate);
	FPU_POINT();
	task->user.fpstate = NULL;
}

/*
 * The parent keeps its registers: saving does not give them up (museum entry 10). Supervisor state and dynamic
 * components are not inherited: the child has the small fpstate, in which the others lie at the same places, for the
 * dynamic ones have the highest numbers. Under fpregs_lock nothing comes between the save and the copy.
 */
void fpu_fork(struct fpu_task *child)
{
	struct fpu_task *parent = fpu_current();
	u64 flags;

	fpregs_lock();
	child->user.pkru = fpu_config.pku ? rdpkru() : 0;
	if (fpu_has_registers(parent) && child->user.fpstate) {
		flags = irq_save();
		fpregs_copy_to_memory(fpu_this_cpu(), parent, FPU_EV_FORK);
		irq_restore(flags);
		FPU_POINT();
		memcpy(child->user.fpstate, parent->user.fpstate, fpu_config.size);
		FPU_POINT();
		child->user.fpstate->xstate_bv &= ~(fpu_config.layout.supervisor | fpu_config.dynamic);
		child->user.fpstate->xcomp_bv = XCOMP_COMPACTED | first_features();
		child->user.bad = parent->user.bad;
	}
	fpregs_unlock();
}

bool fpu_exec_prepare(const struct fpu_task *task, bool integer_only, struct xsave_area **spare)
{
	bool needed = !integer_only && (!task->user.fpstate || task->user.xfd != fpu_config.dynamic);

	*spare = needed ? fpu_fpstate_alloc(first_features()) : NULL;
	return !needed || *spare;
}

void fpu_exec_finish(struct xsave_area *unused)
{
	fpu_fpstate_free(unused);
}

/*
 * With interrupts off nobody sees a context whose fpstate is coming or going: an interrupt's section may load it. An
 * integer-only task's flag is set first, or its new fpstate would come with a flag that says ACTIVE.
 */
struct xsave_area *fpu_exec(struct fpu_task *task, bool integer_only, struct xsave_area *spare)
{
	struct fpu_context *context = &task->user;
	struct xsave_area *unused = NULL;
	struct fpu_cpu *cpu;
	u64 flags;

	FPU_POINT();
	flags = irq_save();
	cpu = fpu_this_cpu();
	fpu_intonly_disturb(task);
	if (spare) {
		unused = context->fpstate;
		context->fpstate = spare;
	}
	if (context->fpstate) {
		fpregs_drop(cpu, task, FPU_EV_EXEC, FPU_INACTIVE);
		context->bad = false;
		context->xfd = fpu_config.dynamic;
		fpu_set_xfd(cpu, context->xfd);
		if (integer_only) {
			unused = context->fpstate;
			context->fpstate = NULL;
		} else {
			fpu_image_reset(context->fpstate, first_features());
			fpu_policy_again(cpu, task);
		}
	}
	context->pkru = PKRU_DEFAULT;
	if (fpu_config.pku)
		wrpkru(PKRU_DEFAULT);
	irq_restore(flags);
	return unused;
}

void fpu_death(struct fpu_task *task)
{
	if (fpu_has_registers(task))
		fpregs_drop(fpu_this_cpu(), task, FPU_EV_DEATH, FPU_NONE);
	task->active = NULL;
}

/* Whose values it held before does not count: they went with the reset (museum entries 7 and 35). */
void fpu_cpu_up(struct fpu_cpu *cpu)
{
	cpu->ts = false;
	if (fpu_config.dynamic)
		fpu_set_xfd_slow(cpu, fpu_config.dynamic);
	fpu_image_load_init(cpu);
	fpregs_claim(cpu, NULL);
	cpu->online = true;
}

void fpu_cpu_down(struct fpu_cpu *cpu)
{
	cpu->online = false;
}

/* The kernel's own environment is in x87 and SSE, which stay. */
void fpu_idle(struct fpu_cpu *cpu)
{
	if (likely(!fpu_tiles_in_use(cpu)))
		return;
	if (cpu->owner != fpu_kernel_owner)
		fpregs_claim(cpu, NULL);
	fpu_tiles_release(cpu);
}
