/*
 * What must hold: the invariants of the museum's catalogue, by their names there. check_invariants at every
 * choice, points inside the real code included; check_exit where a task is about to run in user mode.
 */
#include <string.h>

#include "fpu/cpu.h"
#include "fpu/policy.h"
#include "fpu/setup.h"
#include "tests/explore/world.h"

static const char *const component_names[COMPONENTS] = { "x87", "MXCSR", "vector", "ungated" };

static const char *whose(u8 value)
{
	if (!value)
		return "initial";
	if (value == GARBAGE)
		return "the kernel's";
	for (u32 i = 0; i < USERS; i++)
		for (u32 c = 0; c < COMPONENTS; c++)
			if (world.task[i].life == LIFE_ALIVE && world.task[i].logical.of[c] == value)
				return (const char *[]){ "A's", "B's", "C's" }[i];
	return "stale";
}

static void compare(u32 index, const struct values *found, u32 components, const char *rule)
{
	const struct task *task = &world.task[index];

	for (u32 c = 0; c < components; c++)
		if (found->of[c] != task->logical.of[c])
			fail("%s of %c: %s is %s, must be %s", rule, 'A' + index, component_names[c],
			     whose(found->of[c]), task->logical.of[c] ? "its own" : "initial");
}

static bool lazy(void)
{
	return fpu_policy == &fpu_lazy;
}

static void check_active(u32 index)
{
	const struct task *task = &world.task[index];

	if (index != world.current || !fpregs_valid(&explored_cpu, task->fpu.active))
		fail("I-ONE: %c's load flag is clear, but the registers are not its own", 'A' + index);
	if (registers.ts)
		fail("I-ONE: %c is ACTIVE with CR0.TS set", 'A' + index);
	if (task->doomed)
		fail("%c is ACTIVE although its fpstate could not be loaded", 'A' + index);
	compare(index, &registers.values, COMPONENTS, "I-ONE: the registers");
}

/* May run in user mode as it is. */
static void check_integer_only(u32 index)
{
	if (index != world.current)
		fail("%c is integer-only, not running, and its flag is clear", 'A' + index);
	if (!registers.ts)
		fail("an integer-only task runs with CR0.TS clear");
	if (registers.values.of[UNGATED])
		fail("I-EXIT: an integer-only task runs with another's ungated components");
	if (!strcmp(world.config.intonly, "init") && explored_cpu.owner != fpu_init_owner)
		fail("I-EXIT: an integer-only task finds other than initial values");
}

static void check_memory(u32 index)
{
	const struct task *task = &world.task[index];
	struct image image = image_of(task->fpu.user.fpstate);
	struct values values = image_values(&image);

	if (!image.used || !image.written)
		fail("I-ONE: %c's fpstate is not its own", 'A' + index);
	compare(index, &values, COMPONENTS, "I-ONE: the fpstate");
}

static void check_task(u32 index)
{
	const struct task *task = &world.task[index];

	if (!(task->fpu.flags & TASK_NEED_FPU_LOAD)) {
		if (task->fpu.user.fpstate)
			check_active(index);
		else
			check_integer_only(index);
		return;
	}
	if (!task->fpu.user.fpstate || task->exec || task->doomed)
		return;
	if (fpregs_valid(&explored_cpu, &task->fpu.user))
		compare(index, &registers.values, COMPONENTS, "I-OWN: the registers");
	check_memory(index);
}

static void check_owner(void)
{
	const void *owner = explored_cpu.owner;

	if (owner == fpu_init_owner && memcmp(&registers.values, &(struct values){ 0 }, sizeof(struct values)))
		fail("I-OWN: the registers are said to be initial and are not");
	if (owner == fpu_kernel_owner && (registers.values.of[X87] || registers.values.of[MXCSR]))
		fail("I-KFPU: the registers are said to be the kernel's, but FCW or MXCSR is not");
	if (!owner || owner == fpu_init_owner || owner == fpu_kernel_owner)
		return;
	for (u32 i = 0; i < USERS; i++)
		if (owner == &world.task[i].fpu.user)
			return;
	fail("I-OWN: the owner is no context");
}

static void check_pkru(void)
{
	if (registers.pkru != world.task[world.current].pkru)
		fail("I-PKRU: %c runs with another PKRU than its own", 'A' + world.current);
}

void check_invariants(void)
{
	if (explored_cpu.ts != registers.ts)
		fail("the shadow of CR0.TS is wrong");
	if (world.place != AT_POINT && (world.preempt_count || explored_cpu.locked || explored_cpu.in_kernel))
		fail("a section or lock was not closed");
	check_owner();
	if (world.place == DYING)
		return;
	for (u32 i = 0; i < USERS; i++)
		if (world.task[i].life == LIFE_ALIVE)
			check_task(i);
	if (world.current < USERS && !world.task[world.current].exec)
		check_pkru();
}

void check_exit(void)
{
	const struct task *task = &world.task[world.current];
	u8 ungated = registers.values.of[UNGATED];

	check_pkru();
	if (!task->fpu.user.fpstate) {
		check_integer_only(world.current);
	} else if (!(task->fpu.flags & TASK_NEED_FPU_LOAD)) {
		check_active(world.current);
	} else if (!lazy() || !registers.ts) {
		fail("I-EXIT: %c runs in user mode without its registers", 'A' + world.current);
	} else if (ungated != task->logical.of[UNGATED] && !(task->doomed && !ungated)) {
		fail("I-EXIT: %c runs with ungated components that are %s", 'A' + world.current, whose(ungated));
	}
}
