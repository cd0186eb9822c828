/*
 * The explored kernel's paths: what kernel/ and sched/ do around the real code of fpu/, reduced to its order of
 * calls. Every choice is made in choose(), which hands the CPU to the explorer. Keep in step with sched/sched.c
 * (switch, death), sched/fork.c, sched/exec.c and kernel/traps.c (exit to user).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fpu/fpu.h"
#include "fpu/insn.h"
#include "fpu/intonly.h"
#include "fpu/kernel.h"
#include "fpu/policy.h"
#include "fpu/setup.h"
#include "fpu/switch.h"
#include "fpu/trace.h"
#include "fpu/verbs.h"
#include "kernel/bootinfo.h"
#include "kernel/insn.h"
#include "tests/explore/world.h"

#define INTERRUPT_FLAG 0x200
#define PKRU_OTHER 0x55555550

struct world world;
struct fpu_cpu explored_cpu;
u8 stacks[TASKS][STACK_SIZE] __attribute__((aligned(16)));
char world_failure[256];
struct fpu_step last_step;
bool taken[FPU_EVENTS][FPU_STATES][FPU_STATES];
bool fpu_tracing = true;

static void *explorer_sp;
static bool failed;

/* Saves the callee-saved registers and the stack pointer, and goes on with another coroutine's. */
void coroutine_swap(void **save, void *load);
asm(".text\n"
    ".globl coroutine_swap\n"
    "coroutine_swap:\n\t"
    "pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
    "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
    "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\t"
    "ret\n");

static void coroutine_init(u32 index, void (*entry)(void))
{
	void **sp = (void **)(stacks[index] + STACK_SIZE) - 8;

	memset(sp, 0, 8 * sizeof(void *));
	sp[6] = (void *)entry;
	world.task[index].sp = sp;
}

static struct task *me(void)
{
	return &world.task[world.current];
}

struct fpu_task *fpu_current(void)
{
	return &me()->fpu;
}

void fail(const char *format, ...)
{
	va_list args;
	void *ignored;

	va_start(args, format);
	vsnprintf(world_failure, sizeof(world_failure), format, args);
	va_end(args);
	failed = true;
	coroutine_swap(&ignored, explorer_sp);
	__builtin_unreachable();
}

void fpu_broken(const char *why)
{
	fail("%s", why);
}

void fpu_illegal_transition(const struct fpu_context *context, const struct fpu_step *step)
{
	last_step = *step;
	fail("illegal transition: %s from %s to %s", fpu_event_names[step->event], fpu_state_names[step->from],
	     fpu_state_names[step->to]);
}

static bool alive(u32 index)
{
	return index >= USERS || world.task[index].life == LIFE_ALIVE;
}

/* Damage is done to what only memory holds, once, and by the kernel thread: no task could do it. */
static u64 damage_options(void)
{
	u64 options = 0;

	for (u32 i = 0; i < USERS; i++)
		if (world.task[i].doomed)
			return 0;
	for (u32 i = 0; i < USERS; i++)
		if (alive(i) && world.task[i].fpu.user.fpstate &&
		    !world.task[i].trail && !fpregs_valid(&explored_cpu, &world.task[i].fpu.user))
			options |= BIT(EVENT_DAMAGE_0 + i);
	return options;
}

static u64 switch_options(void)
{
	u64 options = 0;

	for (u32 i = 0; i < TASKS; i++)
		if (i != world.current && alive(i))
			options |= BIT(EVENT_SWITCH_0 + i);
	return options;
}

static u64 system_calls(void)
{
	u64 options = BIT(EVENT_EXIT) | BIT(EVENT_SECTION) | BIT(EVENT_EXEC) | BIT(EVENT_DIE);

	for (u32 i = 0; i < USERS; i++)
		if (world.task[i].life == LIFE_FREE)
			options |= BIT(EVENT_FORK_0 + i);
	if (world.task[0].life == LIFE_FREE)
		options &= ~BIT(EVENT_FORK_0 + 1); /* as good as the other */
	if (world.config.intonly && world.current == USERS - 1)
		options |= BIT(EVENT_EXEC_INTEGER);
	return options;
}

static u64 options_at(enum place place)
{
	u64 interrupt = irq_fpu_usable() ? BIT(EVENT_INTERRUPT) : 0;

	if (place == IN_USER)
		return BIT(EVENT_ENTER) | BIT(EVENT_VECTOR) | (world.config.pkru ? BIT(EVENT_WRPKRU) : 0) |
		       (world.config.ungated && me()->fpu.user.fpstate && !(me()->fpu.own_flags & TASK_NEED_FPU_LOAD) ?
				BIT(EVENT_UNGATED) : 0);
	if (place == DYING)
		return switch_options();
	if (place == AT_POINT)
		return BIT(EVENT_CONTINUE) | interrupt | (world.preempt_count ? 0 : switch_options());
	if (me()->killed)
		return BIT(EVENT_DIE) | interrupt | switch_options();
	if (world.current == KTHREAD)
		return BIT(EVENT_SECTION) | (world.config.damage ? damage_options() : 0) | interrupt | switch_options();
	if (world.current == IDLE)
		return interrupt | switch_options();
	return system_calls() | interrupt | switch_options();
}

static enum event choose(enum place place)
{
	world.place = (u8)place;
	check_invariants();
	world.options = options_at(place);
	coroutine_swap(&me()->sp, explorer_sp);
	return world.choice;
}

bool world_step(enum event choice)
{
	world.choice = (u8)choice;
	failed = false;
	coroutine_swap(&explorer_sp, me()->sp);
	return !failed;
}

static void switch_to(u32 next)
{
	struct task *prev = me();

	if (world.preempt_count || explored_cpu.locked || explored_cpu.in_kernel)
		fail("a switch with preemption off");
	world.interrupts = false;
	if (world.current < USERS)
		fpu_switch_out(&prev->fpu);
	if (next < USERS)
		fpu_switch_in(&world.task[next].fpu);
	world.current = (u8)next;
	coroutine_swap(&prev->sp, world.task[next].sp);
}

/* What a task does first after it has got the CPU. */
static void after_switch(void)
{
	if (world.dead >= 0) {
		fpu_free(&world.task[world.dead].fpu);
		memset(&world.task[world.dead], 0, sizeof(struct task));
		world.dead = -1;
	}
	world.interrupts = true;
}

/* The timer interrupt mixes entropy; the section is short, and nothing can interrupt it. */
static void interrupt(void)
{
	world.interrupts = false;
	if (irq_fpu_usable()) {
		kernel_fpu_begin();
		if (stmxcsr() != MXCSR_INIT || registers.values.of[X87])
			fail("I-KFPU: an interrupt's section runs with a user's FCW or MXCSR");
		registers.values.of[VECTOR] = GARBAGE;
		kernel_fpu_end();
	}
	world.interrupts = true;
}

/* Interrupts and preemption, as often as the explorer likes. */
static bool comes_anywhere(enum event event)
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

/* Where nothing can come but the next instruction there is nothing to choose. */
void explore_point(u32 number)
{
	if (!world.interrupts)
		return;
	me()->trail = (me()->trail + 1) * 0x9e3779b1 + number;
	do {
		world.place = AT_POINT;
		check_invariants();
	} while (options_at(AT_POINT) != BIT(EVENT_CONTINUE) && comes_anywhere(choose(AT_POINT)));
}

u64 irq_save(void)
{
	u64 flags = world.interrupts ? INTERRUPT_FLAG : 0;

	world.interrupts = false;
	return flags;
}

void irq_restore(u64 flags)
{
	if (flags)
		world.interrupts = true;
}

/* Before and after these two the task can be preempted as in the system call around them: no points there. */
void preempt_disable(void)
{
	world.preempt_count++;
	explore_point(2);
}

void preempt_enable(void)
{
	explore_point(3);
	world.preempt_count--;
}

bool boot_option(const char *key, char *buf, size_t size)
{
	if (!world.config.intonly)
		return false;
	snprintf(buf, size, "%s", world.config.intonly);
	return true;
}

void fpu_trace_transition(struct fpu_cpu *cpu, const struct fpu_context *context, const struct fpu_step *step,
			  u64 moved)
{
	taken[step->event][step->from][step->to] = true;
	last_step = *step;
}

void fpu_trace_owner(struct fpu_cpu *cpu)
{
	if (cpu->owner == fpu_kernel_owner && cpu->locked)
		fail("I-SECT: a kernel FPU section begins inside fpregs_lock");
}

/* A section of the running task's own. */
static void section(void)
{
	kernel_fpu_begin();
	world.section = true;
	explore_point(4);
	registers.values.of[VECTOR] = GARBAGE;
	explore_point(5);
	if (stmxcsr() != MXCSR_INIT || registers.values.of[X87])
		fail("I-KFPU: a section runs with a user's FCW or MXCSR");
	if (registers.values.of[VECTOR] != GARBAGE || registers.ts)
		fail("I-SECT: something else used the registers inside a section");
	world.section = false;
	kernel_fpu_end();
}

static void user_task(void);

static void fork_into(u32 index)
{
	struct task *child = &world.task[index];

	child->life = LIFE_BEING_MADE;
	if (!fpu_create(&child->fpu, !fpu_has_registers(&me()->fpu)))
		fail("out of memory");
	fpu_fork(&child->fpu);
	child->logical = me()->logical;
	child->logical.of[UNGATED] = 0;
	child->pkru = me()->pkru;
	child->doomed = me()->doomed;
	if (child->fpu.user.last_cpu != FPU_NO_CPU || !(child->fpu.own_flags & TASK_NEED_FPU_LOAD))
		fail("I-LIFE: a child is born with valid registers");
	coroutine_init(index, user_task);
	child->life = LIFE_ALIVE;
}

static void exec(bool integer_only)
{
	struct task *task = me();

	task->exec = true;
	if (!fpu_exec(&task->fpu, integer_only))
		fail("out of memory");
	task->logical = (struct values){ 0 };
	task->pkru = PKRU_DEFAULT;
	task->doomed = task->exec = false;
}

static void die(void)
{
	world.interrupts = false;
	fpu_death(&me()->fpu);
	if (me()->fpu.active)
		fail("I-LIFE: a dead task's context is still active");
	world.dead = world.current;
	switch_to(choose(DYING) - EVENT_SWITCH_0);
	fail("a dead task runs");
}

/* The smallest number that no register, image or task holds. */
static u8 fresh_value(void)
{
	bool held[256] = { false };
	struct image image;

	for (u32 c = 0; c < COMPONENTS; c++) {
		held[registers.values.of[c]] = true;
		for (u32 i = 0; i < USERS; i++)
			held[world.task[i].logical.of[c]] = true;
		for (u32 i = 0; i < IMAGES; i++) {
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

	world.interrupts = false;
	good = !(task->fpu.flags & TASK_NEED_FPU_LOAD) || fpu_exit_to_user(&task->fpu) || fpu_exit_to_user(&task->fpu);
	if (good)
		check_exit();
	else
		task->killed = true;
	world.interrupts = true;
	return good;
}

/* A vector instruction traps if TS is set; it reads and writes the registers. False: killed. */
static bool vector_instruction(void)
{
	struct task *task = me();
	u8 value;

	if (registers.ts) {
		world.interrupts = false;
		task->killed = !fpu_device_not_available(&task->fpu);
		world.interrupts = true;
		if (task->killed)
			return false;
		check_exit();
		if (registers.ts)
			fail("#NM comes again and again");
	}
	value = world.config.pkru ? 0 : fresh_value();
	task->logical.of[X87] = task->logical.of[MXCSR] = task->logical.of[VECTOR] = value;
	value = task->logical.of[UNGATED];
	registers.values = task->logical;
	registers.values.of[UNGATED] = value;
	return true;
}

static void user_mode(void)
{
	for (;;) {
		switch (choose(IN_USER)) {
		case EVENT_VECTOR:
			if (!vector_instruction())
				return;
			break;
		case EVENT_UNGATED:
			me()->logical.of[UNGATED] = registers.values.of[UNGATED] = fresh_value();
			break;
		case EVENT_WRPKRU:
			me()->pkru = registers.pkru = me()->pkru == PKRU_DEFAULT ? PKRU_OTHER : PKRU_DEFAULT;
			break;
		default:
			return;
		}
	}
}

static void user_task(void)
{
	after_switch();
	for (;;) {
		enum event event = choose(IN_KERNEL);

		if (comes_anywhere(event))
			continue;
		me()->trail = event < EVENT_FORK_0 || event >= EVENT_FORK_0 + USERS ? event : EVENT_FORK_0;
		if (event == EVENT_EXIT) {
			if (exit_to_user())
				user_mode();
		} else if (event == EVENT_SECTION) {
			section();
		} else if (event == EVENT_EXEC || event == EVENT_EXEC_INTEGER) {
			exec(event == EVENT_EXEC_INTEGER);
		} else if (event == EVENT_DIE) {
			die();
		} else {
			fork_into(event - EVENT_FORK_0);
		}
		me()->trail = 0;
	}
}

static void kernel_task(void)
{
	after_switch();
	for (;;) {
		enum event event = choose(IN_KERNEL);

		if (comes_anywhere(event))
			continue;
		me()->trail = event;
		if (event == EVENT_SECTION) {
			section();
		} else {
			image_damage(world.task[event - EVENT_DAMAGE_0].fpu.user.fpstate);
			world.task[event - EVENT_DAMAGE_0].doomed = true;
		}
		me()->trail = 0;
	}
}

static void choose_policy(void)
{
	static const struct fpu_policy *const policies[] = { &fpu_deferred, &fpu_eager, &fpu_lazy };

	for (u32 i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, world.config.policy))
			fpu_policy = policies[i];
	fpu_policy_has_kernel_end = fpu_policy->kernel_end;
	fpu_intonly_init();
}

void world_start(const struct config *config)
{
	world = (struct world){ .config = *config, .dead = -1 };
	memset(stacks, 0, sizeof(stacks));
	explored_cpu = (struct fpu_cpu){ .online = true };
	registers_start(config->ungated);
	choose_policy();
	fpu_create(&world.task[0].fpu, false);
	world.task[0].pkru = PKRU_DEFAULT;
	world.task[0].life = LIFE_ALIVE;
	coroutine_init(0, user_task);
	coroutine_init(KTHREAD, kernel_task);
	coroutine_init(IDLE, kernel_task);
	world.current = IDLE;
	world_step(EVENT_CONTINUE);
}
