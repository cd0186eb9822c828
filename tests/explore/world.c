/* The explored kernel's beginning, its steps, and what fpu/ asks of a kernel. See world.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fpu/fpu.h"
#include "fpu/intonly.h"
#include "fpu/kernel.h"
#include "fpu/policy.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/soft.h"
#include "fpu/trace.h"
#include "fpu/update.h"
#include "kernel/bootinfo.h"
#include "tests/explore/apart.h"
#include "tests/explore/coroutine.h"
#include "tests/explore/frames.h"
#include "tests/explore/images.h"
#include "tests/explore/paths.h"
#include "tests/explore/points.h"

struct world world;
char world_failure[256];
struct fpu_step last_step;
bool (*taken)[FPU_STATES][FPU_STATES];
bool fpu_tracing = true;

void *explorer_sp;
enum event chosen;
static bool failed;
static struct soft_cpu no_model; /* not NULL: tile instructions are executed on struct registers */

struct fpu_cpu *fpu_this_cpu(void)
{
	return &this_cpu()->fpu;
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

bool boot_option(const char *key, char *buf, size_t size)
{
	const char *value = world.config.load ? "load" : NULL;

	if (!strcmp(key, "intonly"))
		value = world.config.intonly;
	if (value)
		snprintf(buf, size, "%s", value);
	return value;
}

void fpu_trace_transition(struct fpu_cpu *cpu, const struct fpu_context *context, const struct fpu_step *step,
			  u64 moved)
{
	taken[step->event][step->from][step->to] = true;
	last_step = *step;
}

void fpu_trace_update(struct fpu_cpu *cpu, const struct fpu_context *context, u32 feature, enum fpu_found found,
		      enum fpu_ending ending)
{
}

void fpu_trace_owner(struct fpu_cpu *cpu)
{
	if (cpu->owner == fpu_kernel_owner && cpu->locked)
		fail("I-SECT: a kernel FPU section begins inside fpregs_lock");
}

u8 world_carrier(u32 index)
{
	for (u8 i = 0; i < world.config.users; i++)
		if (world.task[i].life == LIFE_ALIVE && acting(i) == index)
			return i;
	return NOBODY;
}

bool world_step(u8 cpu, enum event choice)
{
	world.self = cpu;
	chosen = choice;
	failed = false;
	apart_before(cpu);
	coroutine_swap(&explorer_sp, me()->sp);
	if (!failed && !apart_after(cpu)) {
		snprintf(world_failure, sizeof(world_failure), "CPU %u has changed what belongs to another CPU", cpu);
		failed = true;
	}
	return !failed;
}

static void choose_policy(void)
{
	static const struct fpu_policy *const policies[] = { &fpu_deferred, &fpu_eager, &fpu_lazy };

	for (u32 i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, world.config.policy))
			fpu_policy = *policies[i];
	fpu_intonly_init();
	fpu_update_init();
}

static void start_cpu(u8 index)
{
	u8 task = KERNEL_TASK(index);

	world.cpu[index] = (struct cpu){ .fpu = { .id = index, .online = true, .soft = &no_model },
					 .current = task, .next = NOBODY, .previous = NOBODY, .dead = NOBODY };
	world.cpu[index].fpu.xfd = fpu_config.dynamic;
	world.cpu[index].registers.xfd = (u32)fpu_config.dynamic;
	world.task[task].cpu = index;
	coroutine_init(task, kernel_task);
}

void world_start(const struct config *config)
{
	world = (struct world){ .config = *config };
	memset(stacks, 0, sizeof(stacks));
	for (u32 i = 0; i < TASKS; i++)
		world.task[i].cpu = world.task[i].child = world.task[i].target = world.task[i].guest = NOBODY;
	registers_start(config->ungated, config->tiles);
	for (u8 i = 0; i < config->cpus; i++)
		start_cpu(i);
	memset(frames, 0, sizeof(frames));
	images_start();
	choose_policy();
	world.config.every_point = false; /* there is no choice yet */
	fpu_create(&world.task[0].fpu, false);
	world.config.every_point = config->every_point;
	world.task[0].pkru = PKRU_DEFAULT;
	world.task[0].life = LIFE_ALIVE;
	coroutine_init(0, user_task);
	for (u8 i = 0; i < config->cpus; i++)
		world_step(i, EVENT_CONTINUE);
}
