/*
 * See update.h. A component is never saved alone into a context's fpstate: XSAVES of a subset would move it to the
 * subset's place and rewrite the header for it. So the whole state is moved to memory, unless an instruction reaches the
 * component alone. Between begin and finish fpregs_lock is held, so that registers which were valid still hold
 * everything but the change.
 */
#include "fpu/door.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/setup.h"
#include "fpu/update.h"
#include "kernel/bootinfo.h"
#include "kernel/insn.h"
#include "kernel/string.h"

static bool loads_one;

void fpu_update_init(void)
{
	char wanted[8] = "flag";

	boot_option("update", wanted, sizeof(wanted));
	loads_one = !strcmp(wanted, "load");
	if (!loads_one && strcmp(wanted, "flag"))
		fpu_broken("update= is neither flag nor load");
}

/* What is in its initial state may be garbage in memory: it is written before anybody looks. */
static void *value_in_memory(struct fpu_update *update)
{
	enum fpu_state was = fpu_door_open(update->task, FPU_EV_UPDATE_ONE);
	struct xsave_area *fpstate = update->task->user.fpstate;
	void *value = (u8 *)fpstate + xstate_compact_offset(&fpu_config.layout, fpstate->xcomp_bv, update->feature);

	update->was = was;
	update->found = was == FPU_ACTIVE ? FPU_FOUND_REGISTERS : FPU_FOUND_MEMORY;
	if (!(fpstate->xstate_bv & BIT(update->feature))) {
		update->found = FPU_FOUND_INIT;
		memset(value, 0, fpu_config.layout.component[update->feature].size);
	}
	return value;
}

/* PKRU has one home for a running task and one for a stopped one; PASID has its MSR while the task is ACTIVE. */
static void *value_direct(struct fpu_update *update)
{
	bool running = fpu_is_running(update->task);

	if (update->feature == XF_PASID)
		update->value = fpu_pasid(fpu_this_cpu());
	else
		update->value = running ? rdpkru() : update->task->user.pkru;
	update->found = !update->value ? FPU_FOUND_INIT : running ? FPU_FOUND_REGISTERS : FPU_FOUND_MEMORY;
	return &update->value;
}

static void finish_direct(const struct fpu_update *update)
{
	if (update->feature == XF_PASID) {
		fpu_set_pasid(fpu_this_cpu(), update->value);
		return;
	}
	update->task->user.pkru = (u32)update->value;
	if (fpu_is_running(update->task))
		wrpkru((u32)update->value);
}

static bool is_active(const struct fpu_task *task)
{
	return fpu_is_running(task) && !(task->own_flags & TASK_NEED_FPU_LOAD);
}

void *fpu_update_begin(struct fpu_update *update, struct fpu_task *task, u32 feature)
{
	bool pkru = feature == XF_PKRU;

	if (feature < XF_AVX || !(fpu_config.features & ~fpu_config.dynamic & BIT(feature)) ||
	    (!pkru && !fpu_has_registers(task)))
		return NULL;
	fpregs_lock();
	*update = (struct fpu_update){ .task = task, .feature = feature, .was = FPU_INACTIVE };
	update->direct = pkru || (feature == XF_PASID && is_active(task));
	return update->direct ? value_direct(update) : value_in_memory(update);
}

/* The registers are to have it at once, and hold the rest: false if that is not so, or nobody wants it. */
static bool load_now(const struct fpu_update *update)
{
	struct fpu_task *task = update->task;
	u64 flags;

	if (!loads_one || update->was == FPU_INACTIVE || !fpu_is_running(task))
		return false;
	flags = irq_save();
	fpregs_load_component(fpu_this_cpu(), task, FPU_EV_UPDATE_ONE, update->feature, update->was);
	irq_restore(flags);
	return true;
}

static enum fpu_ending finish_in_memory(const struct fpu_update *update)
{
	update->task->user.fpstate->xstate_bv |= BIT(update->feature);
	if (load_now(update))
		return FPU_ENDED_LOAD;
	fpu_door_close(update->task);
	return FPU_ENDED_FLAG;
}

void fpu_update_finish(struct fpu_update *update)
{
	struct fpu_cpu *cpu = fpu_this_cpu();
	enum fpu_ending ending = FPU_ENDED_DIRECT;

	if (update->direct)
		finish_direct(update);
	else
		ending = finish_in_memory(update);
	cpu->counters.updates_found[update->found]++;
	cpu->counters.updates_ended[ending]++;
	if (unlikely(fpu_tracing))
		fpu_trace_update(cpu, &update->task->user, update->feature, update->found, ending);
	fpregs_unlock();
}

void fpu_set_pkey_rights(u32 key, u32 rights)
{
	struct fpu_update update;
	u64 *pkru = fpu_update_begin(&update, fpu_current(), XF_PKRU);

	*pkru = (*pkru & ~(3ul << 2 * key)) | (u64)rights << 2 * key;
	fpu_update_finish(&update);
}
