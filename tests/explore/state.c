/* See state.h. Counters, ids and histories are left out: they do not decide anything. */
#include <string.h>

#include "tests/explore/coroutine.h"
#include "tests/explore/frames.h"
#include "tests/explore/images.h"
#include "tests/explore/intern.h"
#include "tests/explore/state.h"

struct saved_task {
	struct fpu_context *active;
	struct xsave_area *fpstate;
	void *sp;
	struct values logical;
	u32 pkru, saved_pkru, xfd, flags, stack;
	s32 last_cpu;
	u16 trail;
	u8 trail_cpu, life, cpu, child, target, guest;
	struct door frame, written, queued;
	bool room, touches, starved, in_frame, handler, exec, killed, doomed, bad, queue;
};

struct saved_cpu {
	const void *owner;
	struct registers registers;
	u32 preempt_count, locked, xfd;
	u8 current, place, next, dead;
	bool interrupts, in_kernel, online;
};

static struct intern stack_parts, task_parts, cpu_parts, image_parts, frame_parts;

/* A task that has a coroutine to go on with. */
static bool has_stack(u32 index)
{
	const struct task *task = &world.task[index];

	return !is_user(index) || task->life == LIFE_ALIVE || task->cpu != NOBODY;
}

static u32 save_task(u32 index)
{
	const struct task *task = &world.task[index];
	struct saved_task to;

	memset(&to, 0, sizeof(to)); /* padding too: it is compared as bytes */
	to.active = task->fpu.active;
	to.fpstate = task->fpu.user.fpstate;
	to.last_cpu = task->fpu.user.last_cpu;
	to.saved_pkru = task->fpu.user.pkru;
	to.xfd = (u32)task->fpu.user.xfd;
	to.room = task->room;
	to.touches = task->touches;
	to.starved = task->starved;
	to.in_frame = task->fpu.user.in_frame;
	to.bad = task->fpu.user.bad;
	to.flags = task->fpu.flags;
	to.logical = task->logical;
	to.pkru = task->pkru;
	to.trail = task->trail;
	to.trail_cpu = task->trail_cpu;
	to.life = task->life;
	to.cpu = task->cpu;
	to.child = task->child;
	to.target = task->target;
	to.guest = task->guest;
	to.handler = task->handler;
	to.frame = task->frame;
	to.written = task->written;
	to.queue = task->queue;
	to.queued = task->queued;
	to.exec = task->exec;
	to.killed = task->killed;
	to.doomed = task->doomed;
	if (has_stack(index)) {
		to.sp = task->sp;
		to.stack = intern(&stack_parts, task->sp, (u32)(stacks[index] + STACK_SIZE - (const u8 *)task->sp));
	}
	return intern(&task_parts, &to, sizeof(to));
}

static void restore_task(u32 index, u32 part)
{
	const struct saved_task *from = interned_bytes(&task_parts, part, NULL);
	struct task *task = &world.task[index];
	const void *stack;
	u32 size;

	task->fpu.active = from->active;
	task->fpu.user.fpstate = from->fpstate;
	task->fpu.user.last_cpu = from->last_cpu;
	task->fpu.user.pkru = from->saved_pkru;
	task->fpu.user.xfd = from->xfd;
	task->room = from->room;
	task->touches = from->touches;
	task->starved = from->starved;
	task->fpu.user.in_frame = from->in_frame;
	task->fpu.user.bad = from->bad;
	task->fpu.flags = from->flags;
	task->sp = from->sp;
	task->logical = from->logical;
	task->pkru = from->pkru;
	task->trail = from->trail;
	task->trail_cpu = from->trail_cpu;
	task->life = from->life;
	task->cpu = from->cpu;
	task->child = from->child;
	task->target = from->target;
	task->guest = from->guest;
	task->handler = from->handler;
	task->frame = from->frame;
	task->written = from->written;
	task->queue = from->queue;
	task->queued = from->queued;
	task->exec = from->exec;
	task->killed = from->killed;
	task->doomed = from->doomed;
	if (from->stack) {
		stack = interned_bytes(&stack_parts, from->stack, &size);
		memcpy(from->sp, stack, size);
	}
}

/* Most have none. */
static u32 save_frames(u32 index)
{
	const struct frames *f = &frames[index];

	return f->in_kernel || f->in_user ? intern(&frame_parts, f, sizeof(*f)) : 0;
}

static void restore_frames(u32 index, u32 part)
{
	if (part)
		memcpy(&frames[index], interned_bytes(&frame_parts, part, NULL), sizeof(frames[index]));
	else if (frames[index].in_kernel || frames[index].in_user)
		memset(&frames[index], 0, sizeof(frames[index]));
}

static u32 save_cpu(u32 index)
{
	const struct cpu *cpu = &world.cpu[index];
	struct saved_cpu to;

	memset(&to, 0, sizeof(to));
	to.owner = cpu->fpu.owner;
	to.locked = cpu->fpu.locked;
	to.in_kernel = cpu->fpu.in_kernel;
	to.online = cpu->fpu.online;
	to.xfd = (u32)cpu->fpu.xfd;
	to.registers = cpu->registers;
	to.preempt_count = cpu->preempt_count;
	to.current = cpu->current;
	to.place = cpu->place;
	to.next = cpu->next;
	to.dead = cpu->dead;
	to.interrupts = cpu->interrupts;
	return intern(&cpu_parts, &to, sizeof(to));
}

static void restore_cpu(u32 index, u32 part)
{
	const struct saved_cpu *from = interned_bytes(&cpu_parts, part, NULL);
	struct cpu *cpu = &world.cpu[index];

	cpu->fpu.owner = from->owner;
	cpu->fpu.locked = from->locked;
	cpu->fpu.in_kernel = from->in_kernel;
	cpu->fpu.online = from->online;
	cpu->fpu.xfd = from->xfd;
	cpu->fpu.ts = from->registers.ts;
	cpu->registers = from->registers;
	cpu->preempt_count = from->preempt_count;
	cpu->current = from->current;
	cpu->place = from->place;
	cpu->next = from->next;
	cpu->previous = NOBODY; /* no choice is made while it is not */
	cpu->dead = from->dead;
	cpu->interrupts = from->interrupts;
}

struct state state_save(void)
{
	struct state state = { .images = 0 };
	struct image images[STATE_IMAGES];

	for (u32 i = 0; i < world.config.users; i++) {
		state.user[i] = save_task(i);
		state.frames[i] = save_frames(i);
	}
	for (u32 i = 0; i < world.config.cpus; i++) {
		state.kernel[i] = save_task(KERNEL_TASK(i));
		state.cpu[i] = save_cpu(i);
	}
	memset(images, 0, sizeof(images));
	for (u32 i = 0; i < images_count(); i++)
		images[i] = image_state(i);
	state.images = intern(&image_parts, images, sizeof(images));
	return state;
}

void state_restore(const struct state *state)
{
	const struct image *images = interned_bytes(&image_parts, state->images, NULL);

	for (u32 i = 0; i < world.config.users; i++) {
		restore_task(i, state->user[i]);
		restore_frames(i, state->frames[i]);
	}
	for (u32 i = 0; i < world.config.cpus; i++) {
		restore_task(KERNEL_TASK(i), state->kernel[i]);
		restore_cpu(i, state->cpu[i]);
	}
	for (u32 i = 0; i < images_count(); i++)
		image_set_state(i, &images[i]);
}

void state_forget(void)
{
	intern_forget(&stack_parts);
	intern_forget(&task_parts);
	intern_forget(&cpu_parts);
	intern_forget(&image_parts);
	intern_forget(&frame_parts);
}
