/*
 * See update.h. A component is never saved alone into a context's fpstate: XSAVES of a subset would move it to the
 * subset's place and rewrite the header for it. So the whole state is moved to memory; only PKRU, which is not in
 * there, has instructions of its own. Between begin and finish fpregs_lock is held, so that registers which were valid
 * still hold everything but the change.
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
static void *value_in(struct xsave_area *fpstate, u32 feature)
{
	void *value = (u8 *)fpstate + xstate_compact_offset(&fpu_config.layout, fpstate->xcomp_bv, feature);

	if (!(fpstate->xstate_bv & BIT(feature)))
		memset(value, 0, fpu_config.layout.component[feature].size);
	return value;
}

void *fpu_update_begin(struct fpu_update *update, struct fpu_task *task, u32 feature)
{
	bool pkru = feature == XF_PKRU;

	*update = (struct fpu_update){ .task = task, .feature = feature, .was = FPU_INACTIVE };
	if (feature < XF_AVX || !(fpu_config.features & BIT(feature)) || (!pkru && !fpu_has_registers(task)))
		return NULL;
	fpregs_lock();
	if (!pkru) {
		update->was = fpu_door_open(task, FPU_EV_UPDATE_ONE);
		return value_in(task->user.fpstate, feature);
	}
	update->pkru = fpu_is_running(task) ? rdpkru() : task->user.pkru;
	return &update->pkru;
}

static void finish_pkru(const struct fpu_update *update)
{
	update->task->user.pkru = update->pkru;
	if (fpu_is_running(update->task))
		wrpkru(update->pkru);
}

static void finish_in_memory(const struct fpu_update *update)
{
	struct fpu_task *task = update->task;
	struct fpu_cpu *cpu = fpu_this_cpu();
	u64 flags;

	task->user.fpstate->xstate_bv |= BIT(update->feature);
	if (!loads_one || update->was == FPU_INACTIVE || !fpu_is_running(task)) {
		cpu->counters.updates_flagged++;
		fpu_door_close(task);
		return;
	}
	flags = irq_save();
	cpu->counters.updates_loaded++;
	fpregs_load_component(cpu, task, FPU_EV_UPDATE_ONE, update->feature, update->was);
	irq_restore(flags);
}

void fpu_update_finish(struct fpu_update *update)
{
	if (update->feature == XF_PKRU)
		finish_pkru(update);
	else
		finish_in_memory(update);
	fpregs_unlock();
}
