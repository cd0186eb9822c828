/* See apart.h. Compared is what fpu/ could write, down to the counters and the context's memory. */
#include <string.h>

#include "tests/explore/apart.h"
#include "tests/explore/images.h"

struct belongings {
	struct fpu_cpu fpu;
	struct registers registers;
	struct fpu_task task;
	struct image image;
};

static struct belongings before[CPUS_MAX];

static void collect(struct belongings *to, const struct cpu *cpu)
{
	const struct task *task = &world.task[cpu->current];
	const struct fpu_context *context = task->fpu.active;

	to->fpu = cpu->fpu;
	to->registers = cpu->registers;
	to->task = task->fpu;
	to->image = context && context->fpstate ? image_of(context->fpstate) : (struct image){ .used = false };
}

void apart_before(u8 self)
{
	for (u8 i = 0; i < world.config.cpus; i++)
		if (i != self)
			collect(&before[i], &world.cpu[i]);
}

bool apart_after(u8 self)
{
	static struct belongings now;

	for (u8 i = 0; i < world.config.cpus; i++) {
		if (i == self)
			continue;
		collect(&now, &world.cpu[i]);
		if (memcmp(&now, &before[i], sizeof(now)))
			return false;
	}
	return true;
}
