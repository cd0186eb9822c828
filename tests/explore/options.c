/* What may happen next on a CPU. */
#include "fpu/kernel.h"
#include "tests/explore/world.h"

static bool alive(u32 index)
{
	return !is_user(index) || world.task[index].life == LIFE_ALIVE;
}

/* In the registers of any CPU. */
static bool valid_somewhere(const struct fpu_context *context)
{
	for (u32 i = 0; i < world.config.cpus; i++)
		if (is_valid(&world.cpu[i], context))
			return true;
	return false;
}

/* Damage is done to what only memory holds, once, and by a kernel task: no program could do it. */
static u64 damage_options(void)
{
	u64 options = 0;

	for (u32 i = 0; i < world.config.users; i++)
		if (world.task[i].doomed)
			return 0;
	for (u32 i = 0; i < world.config.users; i++) {
		const struct task *task = &world.task[i];

		if (alive(i) && task->cpu == NOBODY && !task->trail && task->fpu.user.fpstate &&
		    !valid_somewhere(&task->fpu.user))
			options |= BIT(EVENT_DAMAGE_0 + i);
	}
	return options;
}

bool world_held(u32 index)
{
	for (u32 i = 0; i < world.config.users; i++)
		if (i != index && world.task[i].target == index)
			return true;
	return false;
}

bool world_guest_in_hand(void)
{
	for (u32 i = 0; i < world.config.users; i++)
		if (world.task[i].life == LIFE_ALIVE &&
		    (world.task[i].guest != NOBODY || world.task[i].target == world.config.users - 1))
			return true;
	return false;
}

/* Itself, a task that has stopped between two calls, with no guest in its place, or a guest. */
static bool is_target(const struct cpu *cpu, u32 index)
{
	const struct task *task = &world.task[index];

	if (task->life == LIFE_GUEST)
		return !world_guest_in_hand();
	return index == cpu->current ||
	       (alive(index) && task->guest == NOBODY && task->cpu == NOBODY && !task->trail && !task->killed &&
		!world_held(index));
}

static bool may_update(u32 index)
{
	const struct task *task = &world.task[index];

	return alive(index) && !task->killed && !world_held(index) &&
	       (!world.config.ungated || task->fpu.user.fpstate);
}

static u64 door_options(const struct cpu *cpu)
{
	u64 options = 0;

	if (world.config.signals)
		options = world.task[cpu->current].handler ? BIT(EVENT_SIGRETURN) : BIT(EVENT_SIGNAL);
	for (u32 i = 0; i < world.config.users; i++) {
		if (is_target(cpu, i) && world.config.debugger)
			options |= BIT(EVENT_REGSET_0 + i) | (may_update(i) ? BIT(EVENT_UPDATE_0 + i) : 0);
		if (!is_target(cpu, i) && world.config.queue && may_update(i))
			options |= BIT(EVENT_UPDATE_0 + i);
	}
	return options;
}

/* A task that is on no CPU, or this CPU's kernel task. */
static u64 switch_options(u8 cpu)
{
	u64 options = 0;

	for (u32 i = 0; i < world.config.users; i++)
		if (alive(i) && world.task[i].cpu == NOBODY && !world_held(i))
			options |= BIT(EVENT_SWITCH_0 + i);
	if (world.cpu[cpu].current != KERNEL_TASK(cpu))
		options |= BIT(EVENT_SWITCH_0 + KERNEL_TASK(cpu));
	return options;
}

/* The last place's, if it is for a guest. */
static u64 guest_options(const struct cpu *cpu)
{
	bool entered = world.task[cpu->current].guest != NOBODY;
	u8 life = world.task[world.config.users - 1].life;
	u64 changes = BIT(EVENT_GUEST_INIT) | (world.config.tiles ? BIT(EVENT_GUEST_XFD) : 0);

	if (!world.config.guest)
		return 0;
	if (entered)
		return changes | BIT(EVENT_GUEST_LEAVE);
	if (life == LIFE_FREE)
		return BIT(EVENT_GUEST);
	return life == LIFE_GUEST && !world_guest_in_hand() ?
		       changes | BIT(EVENT_GUEST) | BIT(EVENT_GUEST_ENTER) : 0;
}

static u64 system_calls(const struct cpu *cpu)
{
	u64 options = BIT(EVENT_EXIT) | BIT(EVENT_SECTION);

	if (world.task[cpu->current].guest != NOBODY)
		return options | guest_options(cpu);
	options |= BIT(EVENT_EXEC) | BIT(EVENT_DIE) | guest_options(cpu);
	for (u32 i = 0; i < world.config.users - (u32)world.config.guest; i++)
		if (world.task[i].life == LIFE_FREE)
			options |= BIT(EVENT_FORK_0 + i);
	if (world.config.intonly && cpu->current == world.config.users - 1)
		options |= BIT(EVENT_EXEC_INTEGER);
	if (world.config.no_exec)
		options &= ~BIT(EVENT_EXEC);
	return options | door_options(cpu);
}

static u64 user_options(u8 index)
{
	const struct task *carrier = &world.task[index], *task = &world.task[acting(index)];
	bool first = task == carrier && task->fpu.user.xfd; /* a guest makes no first use, it has room */
	u64 options = BIT(EVENT_ENTER) | BIT(EVENT_VECTOR);

	if (world.config.pkru)
		options |= BIT(EVENT_WRPKRU);
	if (world.config.ungated && task->fpu.user.fpstate && !(carrier->fpu.own_flags & TASK_NEED_FPU_LOAD))
		options |= BIT(EVENT_UNGATED);
	if (world.config.tiles && task->fpu.user.fpstate)
		options |= BIT(EVENT_TILE) | (first ? BIT(EVENT_TILE_STARVED) : 0) |
			   (task->logical.of[TILES] ? BIT(EVENT_RELEASE) : 0);
	return options;
}

static u64 kernel_options(u8 index)
{
	const struct cpu *cpu = &world.cpu[index];

	if (cpu->current == KERNEL_TASK(index))
		return BIT(EVENT_SECTION) | (world.config.damage ? damage_options() : 0) |
		       (world.config.power ? BIT(EVENT_POWER) : 0) | (world.config.tiles ? BIT(EVENT_IDLE) : 0);
	if (world.task[cpu->current].killed)
		return BIT(world.task[cpu->current].guest == NOBODY ? EVENT_DIE : EVENT_GUEST_LEAVE);
	return system_calls(cpu);
}

/* Tasks that have no CPU and are inside a call. */
static u32 suspended(void)
{
	u32 n = 0;

	for (u32 i = 0; i < world.config.users; i++)
		n += world.task[i].cpu == NOBODY && world.task[i].trail;
	return n;
}

static bool may_switch(const struct cpu *cpu)
{
	return !cpu->preempt_count && (cpu->place != AT_POINT || suspended() < world.config.suspended);
}

bool world_local(u8 index)
{
	const struct cpu *cpu = &world.cpu[index];

	return cpu->place == IN_USER || (cpu->place == AT_POINT && (!cpu->interrupts || cpu->preempt_count));
}

static u64 point_options(const struct cpu *cpu)
{
	return BIT(EVENT_CONTINUE) | (world.task[cpu->current].touches ? BIT(EVENT_FAULT) : 0);
}

u64 world_options(u8 index)
{
	const struct cpu *cpu = &world.cpu[index];
	u64 anywhere;

	if (cpu->place == IN_USER)
		return user_options(cpu->current);
	if (cpu->place == DYING)
		return switch_options(index);
	if (!cpu->interrupts)
		return BIT(EVENT_CONTINUE);
	world.self = index;
	if (!cpu->fpu.online)
		return BIT(EVENT_POWER) | (irq_fpu_usable() ? BIT(EVENT_INTERRUPT) : 0);
	anywhere = (irq_fpu_usable() ? BIT(EVENT_INTERRUPT) : 0) | (may_switch(cpu) ? switch_options(index) : 0);
	return anywhere | (cpu->place == AT_POINT ? point_options(cpu) : kernel_options(index));
}
