/*
 * Integer-only tasks run with CR0.TS set, so that their first vector instruction traps, and is their last. What
 * lies in the registers meanwhile is a choice made at boot:
 *
 *   init  the initial image, loaded on the way to user mode. Safe everywhere.
 *   ts    whatever was there: the last context stays CACHED, and calling an integer-only server costs its client
 *         no load. TS is an architectural trap only, and on 2018's cores user code can read past it
 *         (CVE-2018-3665), as it can with XSAVE on QEMU, which does not look at TS there: for one domain of trust.
 */
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/intonly.h"
#include "fpu/setup.h"
#include "fpu/verbs.h"
#include "kernel/bootinfo.h"
#include "kernel/string.h"

static bool keep_registers;

void fpu_intonly_init(void)
{
	char wanted[8] = "init";

	boot_option("intonly", wanted, sizeof(wanted));
	keep_registers = !strcmp(wanted, "ts");
	if (!keep_registers && strcmp(wanted, "init"))
		fpu_broken("intonly= is neither init nor ts");
}

bool fpu_intonly_keeps(void)
{
	return keep_registers;
}

void fpu_intonly_exit(struct fpu_cpu *cpu, struct fpu_task *task)
{
	/* TS hides x87, SSE and AVX; supervisor state must not pass to the next task unseen. */
	bool leak = fpu_config.ungated && fpu_ungated_in_use(cpu);

	if ((!keep_registers && cpu->owner != fpu_init_owner) || leak) {
		fpregs_claim(cpu, NULL);
		fpu_image_load_init(cpu);
		fpregs_claim(cpu, fpu_init_owner);
	}
	fpu_set_ts(cpu);
	task->own_flags &= (u8)~TASK_NEED_FPU_LOAD;
}

void fpu_intonly_disturb(struct fpu_task *task)
{
	if (task->active && !task->active->fpstate)
		task->own_flags |= TASK_NEED_FPU_LOAD;
}
