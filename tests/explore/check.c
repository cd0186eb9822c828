/*
 * What must hold: the invariants of the museum's catalogue, by their names there. check_invariants at every choice,
 * points inside the real code included; check_exit where a task is about to run in user mode. A CPU that is
 * half-way through a transition (is_steady) is left out, and its own tasks; nothing else is.
 */
#include <string.h>

#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/policy.h"
#include "fpu/setup.h"
#include "tests/explore/images.h"

static const char *const component_names[COMPONENTS] = { "x87", "MXCSR", "vector", "tiles", "ungated" };

static const char *whose(u8 value)
{
	static char name[4] = "X's";

	if (!value)
		return "initial";
	if (value == GARBAGE)
		return "the kernel's";
	if (value == NOBODYS)
		return "nobody's";
	for (u32 i = 0; i < world.config.users; i++)
		for (u32 c = 0; c < COMPONENTS; c++)
			if (has_context(&world.task[i]) && world.task[i].logical.of[c] == value) {
				name[0] = (char)('A' + i);
				return name;
			}
	return "stale";
}

static void compare(u32 index, const struct values *found, const char *rule)
{
	const struct task *task = &world.task[index];

	for (u32 c = 0; c < COMPONENTS; c++)
		if (found->of[c] != task->logical.of[c])
			fail("%s of %c: %s is %s, must be %s", rule, 'A' + index, component_names[c],
			     whose(found->of[c]), task->logical.of[c] ? "its own" : "initial");
}

static bool lazy(void)
{
	return fpu_policy.name == fpu_lazy.name;
}

/* The values of a context in the registers of its carrier's CPU. */
static void check_active(u32 index, u8 carrier)
{
	const struct task *task = &world.task[index];
	u8 on = world.task[carrier].cpu;
	const struct cpu *cpu = &world.cpu[on];

	if (on == NOBODY || cpu->current != carrier || !is_valid(cpu, &task->fpu.user))
		fail("I-ONE: %c's load flag is clear, but the registers are not its own", 'A' + index);
	if (cpu->registers.ts)
		fail("I-ONE: %c is ACTIVE with CR0.TS set", 'A' + index);
	if (task->doomed)
		fail("%c is ACTIVE although its fpstate could not be loaded", 'A' + index);
	compare(index, &cpu->registers.values, "I-ONE: the registers");
}

/* May run in user mode as it is. */
static void check_integer_only(u32 index)
{
	const struct task *task = &world.task[index];
	const struct cpu *cpu = &world.cpu[task->cpu];

	if (task->cpu == NOBODY || cpu->current != index)
		fail("%c is integer-only, not running, and its flag is clear", 'A' + index);
	if (!cpu->registers.ts)
		fail("an integer-only task runs with CR0.TS clear");
	if (cpu->registers.values.of[UNGATED] || cpu->registers.values.of[TILES])
		fail("I-EXIT: an integer-only task runs with another's ungated components");
	if (!strcmp(world.config.intonly, "init") && cpu->fpu.owner != fpu_init_owner)
		fail("I-EXIT: an integer-only task finds other than initial values");
}

static void check_memory(u32 index)
{
	const struct task *task = &world.task[index];
	struct image image = image_of(task->fpu.user.fpstate);
	struct values values = image_values(&image);

	if (!image.used || !image.written)
		fail("I-ONE: %c's fpstate is not its own", 'A' + index);
	compare(index, &values, "I-ONE: the fpstate");
}

/* Room for tiles, XFD and what is in the image go together, between calls and in them. */
static void check_room(u32 index)
{
	const struct task *task = &world.task[index];
	struct image image = image_of(task->fpu.user.fpstate);
	bool room = fpu_config.dynamic & ~task->fpu.user.xfd || (fpu_config.dynamic && task->life == LIFE_GUEST);

	if (image.room != image.tiles || image.room != room)
		fail("I-SIZE: %c's fpstate, its XCOMP_BV and XFD don't agree about tiles", 'A' + index);
	if (!task->trail && image.room != task->room)
		fail("I-XFD: %c %s", 'A' + index, image.room ? "has room for tiles without a first use"
							     : "has lost its room for tiles");
	if (image.xstate_bv & 8 && task->fpu.user.xfd)
		fail("I-IMG: %c's fpstate has tiles that its XFD disables", 'A' + index);
}

static void check_task(u32 index)
{
	const struct task *task = &world.task[index];
	u8 carrier = world_carrier(index);
	bool runs = carrier != NOBODY && world.task[carrier].cpu != NOBODY;

	if (task->fpu.user.fpstate && !task->exec)
		check_room(index);
	if (!runs && !task->fpu.user.in_frame && !task->exec && task->fpu.user.pkru != task->pkru)
		fail("I-PKRU: %c's published keys are not its own", 'A' + index);
	if (carrier != NOBODY && !task->exec && world.task[carrier].fpu.active != &task->fpu.user)
		fail("I-GUEST: %c runs with other registers than %c's", 'A' + carrier, 'A' + index);
	if (task->life == LIFE_GUEST && !(task->fpu.flags & TASK_NEED_FPU_LOAD))
		fail("I-GUEST: the guest's own flag says that it is ACTIVE");
	if (carrier != NOBODY && !(world.task[carrier].fpu.flags & TASK_NEED_FPU_LOAD)) {
		if (task->fpu.user.fpstate)
			check_active(index, carrier);
		else
			check_integer_only(index);
		return;
	}
	if (!task->fpu.user.fpstate || task->exec || task->doomed)
		return;
	for (u32 i = 0; i < world.config.cpus; i++)
		if (is_steady(&world.cpu[i]) && is_valid(&world.cpu[i], &task->fpu.user))
			compare(index, &world.cpu[i].registers.values, "I-OWN: the registers");
	check_memory(index);
}

/* Its CPU is half-way through something that it takes part in. */
static bool busy(u32 index)
{
	u8 carrier = world_carrier(index), cpu = world.task[carrier == NOBODY ? index : carrier].cpu;

	return cpu != NOBODY && !is_steady(&world.cpu[cpu]);
}

static void check_owner(const struct cpu *cpu)
{
	const void *owner = cpu->fpu.owner;
	const struct values *values = &cpu->registers.values;

	if (owner == fpu_init_owner && memcmp(values, &(struct values){ 0 }, sizeof(*values)))
		fail("I-OWN: the registers are said to be initial and are not");
	if (owner == fpu_kernel_owner && (values->of[X87] || values->of[MXCSR]))
		fail("I-KFPU: the registers are said to be the kernel's, but FCW or MXCSR is not");
	if (!owner || owner == fpu_init_owner || owner == fpu_kernel_owner)
		return;
	for (u32 i = 0; i < world.config.users; i++)
		if (owner == &world.task[i].fpu.user)
			return;
	fail("I-OWN: the owner is no context");
}

/* What a switch changes at once. */
static void check_at_once(const struct cpu *cpu)
{
	const struct task *task = &world.task[acting(cpu->current)];

	if (task->exec || world.task[cpu->current].exec)
		return;
	if (cpu->registers.pkru != task->pkru && !(task->fpu.user.in_frame && !cpu->registers.pkru))
		fail("I-PKRU: %c runs with another PKRU than its own", 'A' + cpu->current);
	if (task->life != LIFE_ENDING && task->fpu.user.xfd != cpu->registers.xfd)
		fail("I-XFD: %c runs with another XFD than its own", 'A' + cpu->current);
}

static void check_cpu(const struct cpu *cpu)
{
	if (cpu->fpu.ts != cpu->registers.ts)
		fail("the shadow of CR0.TS is wrong");
	if (cpu->fpu.xfd != cpu->registers.xfd && !world.task[acting(cpu->current)].exec)
		fail("I-XFD: the shadow of IA32_XFD is wrong");
	if (cpu->place != AT_POINT && (cpu->preempt_count || cpu->fpu.locked || cpu->fpu.in_kernel))
		fail("a section or lock was not closed");
	check_owner(cpu);
	if (is_user(cpu->current))
		check_at_once(cpu);
}

/* While nobody is in a call or dying, each image is somebody's. */
static void check_images(void)
{
	u32 n = 1;

	for (u32 i = 0; i < world.config.users; i++) {
		if (world.task[i].trail || world.task[i].life == LIFE_ENDING)
			return;
		n += world.task[i].fpu.user.fpstate != NULL;
	}
	if (n != images_used())
		fail("I-LIFE: %u fpstates are in use, and %u of them are somebody's", images_used(), n);
}

void check_invariants(void)
{
	check_images();
	for (u32 i = 0; i < world.config.cpus; i++)
		if (is_steady(&world.cpu[i]))
			check_cpu(&world.cpu[i]);
	for (u32 i = 0; i < world.config.users; i++)
		if (has_context(&world.task[i]) && !busy(i))
			check_task(i);
}

void check_exit(void)
{
	const struct cpu *cpu = this_cpu();
	const struct task *task = my_registers();
	const u8 *ungated = &cpu->registers.values.of[TILES];
	bool none = !ungated[0] && !ungated[1];

	check_at_once(cpu);
	if (!task->fpu.user.fpstate) {
		check_integer_only(cpu->current);
	} else if (!(me()->fpu.flags & TASK_NEED_FPU_LOAD)) {
		check_active(acting(cpu->current), cpu->current);
	} else if (!lazy() || !cpu->registers.ts) {
		fail("I-EXIT: %c runs in user mode without its registers", 'A' + cpu->current);
	} else if (memcmp(ungated, &task->logical.of[TILES], COMPONENTS - TILES) && !(task->doomed && none)) {
		fail("I-EXIT: %c runs with ungated components that are %s", 'A' + cpu->current,
		     whose(ungated[ungated[0] == task->logical.of[TILES]]));
	}
}
