/*
 * The explored kernel's paths: what kernel/ and sched/ do around the real code of fpu/, reduced to its order of
 * calls. Keep in step with sched/fork.c, sched/exec.c, sched/sched.c (death) and kernel/traps.c (exit to user).
 */
#include <string.h>

#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/insn.h"
#include "fpu/kernel.h"
#include "fpu/setup.h"
#include "fpu/tiles.h"
#include "fpu/verbs.h"
#include "tests/explore/coroutine.h"
#include "tests/explore/doors.h"
#include "tests/explore/frames.h"
#include "tests/explore/guests.h"
#include "tests/explore/images.h"
#include "tests/explore/paths.h"
#include "tests/explore/points.h"
#include "tests/explore/tiles.h"
#include "tests/explore/trail.h"

static struct registers *registers(void)
{
	return &this_cpu()->registers;
}

/* A section of the running task's own. */
static void section(void)
{
	kernel_fpu_begin();
	explore_point(POINT_SECTION_WRITES);
	registers()->values.of[VECTOR] = GARBAGE;
	explore_point(POINT_SECTION_READS);
	if (stmxcsr() != MXCSR_INIT || registers()->values.of[X87])
		fail("I-KFPU: a section runs with a user's FCW or MXCSR");
	if (registers()->values.of[VECTOR] != GARBAGE || registers()->ts)
		fail("I-SECT: something else used the registers inside a section");
	kernel_fpu_end();
}

static void fork_into(u32 index)
{
	struct task *parent = me(), *child = &world.task[index];

	child->life = LIFE_BEING_MADE;
	parent->child = (u8)index;
	if (!fpu_create(&child->fpu, !fpu_has_registers(&parent->fpu)))
		fail("out of memory");
	fpu_fork(&child->fpu);
	child->logical = parent->logical;
	child->logical.of[UNGATED] = child->logical.of[TILES] = 0;
	child->pkru = parent->pkru;
	child->doomed = parent->doomed;
	if (child->fpu.user.last_cpu != FPU_NO_CPU || !(child->fpu.own_flags & TASK_NEED_FPU_LOAD))
		fail("I-LIFE: a child is born with valid registers");
	if (child->fpu.user.xfd != fpu_config.dynamic)
		fail("I-XFD: a child may use tiles for which it has no room");
	coroutine_init(index, user_task);
	child->life = LIFE_ALIVE;
	parent->child = NOBODY;
}

static void exec(bool integer_only)
{
	struct task *task = me();
	struct xsave_area *spare;

	task->exec = true;
	if (!fpu_exec_prepare(&task->fpu, integer_only, &spare))
		fail("out of memory");
	fpu_exec_finish(fpu_exec(&task->fpu, integer_only, spare));
	task->logical = (struct values){ 0 };
	task->pkru = PKRU_DEFAULT;
	task->doomed = task->exec = task->handler = task->queue = task->room = false;
	task->frame = (struct door){ 0 };
	frame_end();
}

static void die(void)
{
	me()->exec = me()->killed = true;
	fpu_tiles_exit(&me()->fpu);
	this_cpu()->interrupts = false;
	this_cpu()->dead = this_cpu()->current;
	me()->life = LIFE_ENDING;
	me()->queue = false;
	frame_end();
	fpu_death(&me()->fpu);
	if (me()->fpu.active)
		fail("I-LIFE: a dead task's context is still active");
	switch_to(choose(DYING) - EVENT_SWITCH_0);
	fail("a dead task runs");
}

/* The smallest number that no register, image or task holds. */
u8 fresh_value(void)
{
	bool held[256] = { false };
	struct image image;

	for (u32 c = 0; c < COMPONENTS; c++) {
		for (u32 i = 0; i < world.config.cpus; i++)
			held[world.cpu[i].registers.values.of[c]] = true;
		for (u32 i = 0; i < world.config.users; i++) {
			held[world.task[i].logical.of[c]] = true;
			held[world.task[i].frame.values.of[c]] = true;
			held[world.task[i].written.values.of[c]] = true;
			held[world.task[i].queued.values.of[c]] = true;
		}
		for (u32 i = 0; i < images_count(); i++) {
			image = image_state(i);
			held[image.stored.of[c]] = true;
		}
	}
	for (u8 value = 1;; value++)
		if (!held[value])
			return value;
}

/*
 * The way to user mode: kernel/entry.asm, and after a refusal there kernel/traps.c, which asks again. False if the
 * task has to die instead.
 */
static bool exit_to_user(void)
{
	struct task *task = me();
	bool good;

	while (task->queue) {
		if (task->guest != NOBODY)
			guest_call(EVENT_GUEST_LEAVE);
		take_queued();
		trail_begin(EVENT_EXIT); /* as it was before */
	}
	this_cpu()->interrupts = false;
	good = !(task->fpu.flags & TASK_NEED_FPU_LOAD) || fpu_exit_to_user(&task->fpu) ||
	       fpu_exit_to_user(&task->fpu);
	if (good)
		check_exit();
	else
		task->killed = true;
	this_cpu()->interrupts = true;
	return good;
}

/* A vector instruction traps if TS is set; it reads and writes the registers. False: killed. */
static bool vector_instruction(void)
{
	struct task *task = me();
	u8 value;

	if (registers()->ts) {
		this_cpu()->interrupts = false;
		task->killed = !fpu_device_not_available(&task->fpu);
		this_cpu()->interrupts = true;
		if (task->killed)
			return false;
		check_exit();
		if (registers()->ts)
			fail("#NM comes again and again");
	}
	task = my_registers();
	value = world.config.pkru ? 0 : fresh_value();
	task->logical.of[X87] = task->logical.of[MXCSR] = task->logical.of[VECTOR] = value;
	registers()->values = task->logical;
	return true;
}

/* What a program does by itself. False: it is in the kernel again. */
static bool user_step(enum event event)
{
	struct task *task = my_registers();

	if (event == EVENT_VECTOR)
		return vector_instruction();
	if (event == EVENT_UNGATED)
		task->logical.of[UNGATED] = registers()->values.of[UNGATED] = fresh_value();
	else if (event == EVENT_WRPKRU)
		task->pkru = registers()->pkru = task->pkru == PKRU_DEFAULT ? PKRU_OTHER : PKRU_DEFAULT;
	else
		return false;
	return true;
}

/* The program runs: its trail is empty but while it traps. What brought it back to the kernel. */
static enum event user_mode(void)
{
	enum event event;

	do {
		trail_end();
		event = choose(IN_USER);
		trail_begin(event);
	} while (user_step(event));
	return event;
}

static void system_call(enum event event)
{
	if (event == EVENT_EXIT) {
		if (exit_to_user())
			event = user_mode();
		if (event >= EVENT_TILE)
			tile_instruction(event);
	} else if (event == EVENT_SECTION) {
		section();
	} else if (event == EVENT_EXEC || event == EVENT_EXEC_INTEGER) {
		exec(event == EVENT_EXEC_INTEGER);
	} else if (event == EVENT_DIE) {
		die();
	} else if (event >= EVENT_GUEST) {
		guest_call(event);
	} else if (event >= EVENT_SIGNAL) {
		through_door(event);
	} else {
		fork_into(event - EVENT_FORK_0);
	}
}

void user_task(void)
{
	after_switch();
	for (;;) {
		enum event event = choose(IN_KERNEL);

		if (comes_anywhere(event))
			continue;
		trail_begin(event);
		system_call(event);
		trail_end();
	}
}

/*
 * The CPU goes down, and its registers are lost, though what names their owner is not; or comes back.
 */
static void power(void)
{
	struct cpu *cpu = this_cpu();

	if (cpu->fpu.online) {
		fpu_cpu_down(&cpu->fpu);
		return;
	}
	cpu->registers = (struct registers){ .values = { { NOBODYS, NOBODYS, NOBODYS, 0, 0 } } };
	cpu->interrupts = false;
	fpu_cpu_up(&cpu->fpu);
	cpu->interrupts = true;
}

void kernel_task(void)
{
	after_switch();
	for (;;) {
		enum event event = choose(IN_KERNEL);

		if (comes_anywhere(event))
			continue;
		trail_begin(event);
		if (event == EVENT_SECTION) {
			section();
		} else if (event == EVENT_POWER) {
			power();
		} else if (event == EVENT_IDLE) {
			sleep();
		} else {
			image_damage(world.task[event - EVENT_DAMAGE_0].fpu.user.fpstate);
			world.task[event - EVENT_DAMAGE_0].doomed = true;
		}
		trail_end();
	}
}
