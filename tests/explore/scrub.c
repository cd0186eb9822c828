/*
 * Registers that are nobody's, and the memory of a context that is ACTIVE, hold values that no correct code looks at.
 * Overwriting them makes it certain that incorrect code is found out, where the old values might by chance be right,
 * and leaves far fewer states. Which components are in use is not changed: lazy switching asks for it.
 */
#include "fpu/cpu.h"
#include "tests/explore/images.h"

static void scrub(struct values *values)
{
	values->of[X87] = values->of[MXCSR] = values->of[VECTOR] = NOBODYS;
	for (u32 c = TILES; c < COMPONENTS; c++)
		if (values->of[c])
			values->of[c] = NOBODYS;
}

static bool holds_a_context(const struct cpu *cpu)
{
	for (u32 i = 0; i < world.config.users; i++)
		if (has_context(&world.task[i]) && is_valid(cpu, &world.task[i].fpu.user))
			return true;
	return false;
}

static void scrub_cpu(struct cpu *cpu)
{
	if (cpu->fpu.owner == fpu_kernel_owner)
		cpu->registers.values.of[VECTOR] = GARBAGE;
	else if (cpu->fpu.owner != fpu_init_owner && !holds_a_context(cpu))
		scrub(&cpu->registers.values);
}

static void scrub_memory(const struct fpu_context *context)
{
	struct image image = image_of(context->fpstate);

	scrub(&image.stored);
	image.xstate_bv |= 3;
	image_overwrite(context->fpstate, &image);
}

void world_scrub(void)
{
	for (u32 i = 0; i < world.config.cpus; i++)
		if (is_steady(&world.cpu[i]))
			scrub_cpu(&world.cpu[i]);
	for (u32 i = 0; i < world.config.users; i++) {
		const struct task *task = &world.task[i];

		if (task->life == LIFE_ALIVE && task->fpu.active && task->fpu.active->fpstate &&
		    !(task->fpu.own_flags & TASK_NEED_FPU_LOAD) && is_steady(&world.cpu[task->cpu]))
			scrub_memory(task->fpu.active);
	}
}
