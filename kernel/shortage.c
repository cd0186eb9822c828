/* Allocations that fail because a test wants it. One plan at a time, that of the last task that made one. */
#include "kernel/shortage.h"
#include "sched/task.h"

struct shortage shortage;

u64 shortage_plan(u64 n)
{
	u64 left = shortage.task == current ? shortage.left : 0;

	shortage.left = 0;
	shortage.task = current;
	shortage.mm = current->process->mm;
	shortage.left = n;
	return left;
}

bool shortage_strikes(void)
{
	const struct process *process = current->process;

	if (current != shortage.task || !process || process->mm != shortage.mm)
		return false;
	return --shortage.left == 0;
}
