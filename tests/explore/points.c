/*
 * Points, switches and interrupts. Every choice is made in choose(). A task that is being switched out belongs to
 * its CPU until the switch is complete, and one that is being switched in from the moment it is chosen: no other CPU
 * picks either, as the lock of the run queue sees to in the kernel. IPC's direct switch is one like the others. Keep
 * in step with sched/sched.c.
 */
#include "fpu/insn.h"
#include "fpu/kernel.h"
#include "fpu/switch.h"
#include "kernel/insn.h"
#include "tests/explore/coroutine.h"
#include "tests/explore/points.h"
#include "tests/explore/trail.h"

#define INTERRUPT_FLAG 0x200

enum event choose(enum place place)
{
	this_cpu()->place = (u8)place;
	check_invariants();
	coroutine_swap(&me()->sp, explorer_sp);
	return chosen;
}

static void trail_pass(u32 point)
{
	struct task *task = me();

	task->trail = trail_after(task->trail, point, task->trail_cpu != world.self);
	task->trail_cpu = world.self;
}

/* Which other task an event is about, the key knows without the trail. */
static enum event kind_of(enum event event)
{
	if (event >= EVENT_FORK_0 && event < EVENT_EXEC)
		return EVENT_FORK_0;
	if (event >= EVENT_REGSET_0 && event < EVENT_TILE)
		return event < EVENT_UPDATE_0 ? EVENT_REGSET_0 : EVENT_UPDATE_0;
	return event;
}

void trail_begin(enum event event)
{
	me()->trail = 0;
	me()->trail_cpu = world.self;
	trail_pass(POINT_CALL_0 + kind_of(event));
}

void trail_end(void)
{
	me()->trail = 0;
}

/* What comes in between leaves nothing on the stack. */
struct trail {
	u16 trail;
	u8 cpu;
};

static struct trail aside(u32 point)
{
	struct trail before = { me()->trail, me()->trail_cpu };

	trail_pass(point);
	return before;
}

static void put_back(struct trail trail)
{
	me()->trail = trail.trail;
	me()->trail_cpu = trail.cpu;
}

/* Nothing is chosen where this CPU has no choice, unless other CPUs are to come at every point. */
void explore_point(u32 number)
{
	bool every = world.config.every_point;

	if (!every && !this_cpu()->interrupts)
		return;
	trail_pass(number);
	do {
		this_cpu()->place = AT_POINT;
		if (!every && world_options(world.self) == BIT(EVENT_CONTINUE)) {
			check_invariants();
			return;
		}
	} while (comes_anywhere(choose(AT_POINT)));
}

bool explore_access(void)
{
	struct task *task = me();
	enum event event;

	trail_pass(POINT_USER);
	task->touches = true;
	do
		event = choose(AT_POINT);
	while (comes_anywhere(event));
	task->touches = false;
	if (event == EVENT_FAULT)
		trail_pass(POINT_FAULT);
	return event == EVENT_FAULT;
}

void switch_to(u32 next)
{
	struct cpu *cpu = this_cpu();
	struct task *prev = me();
	struct trail before = aside(POINT_SWITCH);

	if (cpu->preempt_count || cpu->fpu.locked || cpu->fpu.in_kernel)
		fail("a switch with preemption off");
	cpu->interrupts = false;
	cpu->next = (u8)next;
	world.task[next].cpu = world.self;
	if (is_user(cpu->current))
		fpu_switch_out(&prev->fpu);
	if (is_user(next))
		fpu_switch_in(&world.task[next].fpu);
	put_back(before);
	cpu->previous = cpu->current;
	cpu->current = (u8)next;
	cpu->next = NOBODY;
	coroutine_swap(&prev->sp, world.task[next].sp);
}

void after_switch(void)
{
	struct trail before = aside(POINT_ARRIVE);
	struct cpu *cpu = this_cpu();
	u8 dead = cpu->dead;

	if (cpu->previous != NOBODY)
		world.task[cpu->previous].cpu = NOBODY;
	cpu->previous = NOBODY;
	if (dead != NOBODY) {
		fpu_free(&world.task[dead].fpu);
		world.task[dead] = (struct task){ .cpu = NOBODY, .child = NOBODY, .target = NOBODY,
						   .guest = NOBODY };
		cpu->dead = NOBODY;
	}
	put_back(before);
	cpu->interrupts = true;
}

/* The timer interrupt mixes entropy; the section is short, and nothing can interrupt it. */
static void interrupt(void)
{
	struct trail before = aside(POINT_INTERRUPT);

	this_cpu()->interrupts = false;
	if (irq_fpu_usable()) {
		if (!this_cpu()->fpu.online)
			fail("I-CPU: an interrupt's section on a CPU whose registers are not set up");
		kernel_fpu_begin();
		if (stmxcsr() != MXCSR_INIT || this_cpu()->registers.values.of[X87])
			fail("I-KFPU: an interrupt's section runs with a user's FCW or MXCSR");
		this_cpu()->registers.values.of[VECTOR] = GARBAGE;
		kernel_fpu_end();
	}
	this_cpu()->interrupts = true;
	put_back(before);
}

bool comes_anywhere(enum event event)
{
	if (event == EVENT_INTERRUPT) {
		interrupt();
		return true;
	}
	if (event >= EVENT_SWITCH_0 && event < EVENT_SWITCH_0 + TASKS) {
		switch_to(event - EVENT_SWITCH_0);
		after_switch();
		return true;
	}
	return false;
}

u64 irq_save(void)
{
	u64 flags;

	explore_point(POINT_IRQ_OFF);
	flags = this_cpu()->interrupts ? INTERRUPT_FLAG : 0;
	this_cpu()->interrupts = false;
	return flags;
}

void irq_restore(u64 flags)
{
	if (flags)
		this_cpu()->interrupts = true;
}

void preempt_disable(void)
{
	explore_point(POINT_PREEMPT_BEFORE);
	this_cpu()->preempt_count++;
	explore_point(POINT_PREEMPT_OFF);
}

/* After it the task can be preempted as in the system call around it: no point there. */
void preempt_enable(void)
{
	explore_point(POINT_PREEMPT_ON);
	this_cpu()->preempt_count--;
}
