/* Tiles and the task that uses them; see tiles.h. */
#include "fpu/buffers.h"
#include "fpu/cpu.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/tiles.h"
#include "fpu/verbs.h"
#include "kernel/insn.h"

bool fpu_tiles_modelled(void)
{
	return !fpu_config.native && fpu_config.xcr0 & XFM_TILES;
}

/* Under fpregs_lock no kernel section can begin in an interrupt, so the context stays ACTIVE. */
struct soft_cpu *fpu_tiles_get(void)
{
	struct fpu_task *task = fpu_current();
	struct fpu_cpu *cpu;
	bool loaded;
	u64 flags;

	if (!fpu_has_registers(task))
		return NULL;
	fpregs_lock();
	cpu = fpu_this_cpu();
	flags = irq_save();
	fpu_clear_ts(cpu);
	loaded = fpregs_move_to_cpu(cpu, task, FPU_EV_TILE_INSN);
	irq_restore(flags);
	if (loaded)
		return cpu->soft;
	fpregs_unlock();
	return NULL;
}

void fpu_tiles_put(void)
{
	fpregs_unlock();
}

/* The old fpstate is freed after interrupts are on again: nobody but the context has ever named it. */
bool fpu_first_use(struct fpu_task *task, u64 components)
{
	u64 xfd = task->user.xfd & ~components, flags;
	struct xsave_area *area = fpu_fpstate_alloc(fpu_config.mask & ~xfd);
	struct fpu_cpu *cpu;

	if (!area)
		return false;
	flags = irq_save();
	cpu = fpu_this_cpu();
	fpu_clear_ts(cpu);
	if (fpregs_move_to_cpu(cpu, task, FPU_EV_FIRST_USE)) {
		area = fpregs_exchange_fpstate(cpu, task, FPU_EV_FIRST_USE, area);
		task->user.xfd = xfd;
		fpu_set_xfd(cpu, xfd);
	}
	irq_restore(flags);
	fpu_fpstate_free(area);
	return true;
}

void fpu_tiles_exit(struct fpu_task *task)
{
	u64 flags;

	if (task->user.xfd == fpu_config.dynamic)
		return;
	flags = irq_save();
	fpu_death(task);
	irq_restore(flags);
	fpu_free(task);
}
