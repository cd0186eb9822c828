/*
 * Which CPU a task waits for. A waking task goes back to the CPU where it ran last, for its registers may still be
 * there; to an idle one, if that one is busy. A CPU without work takes some from the longest queue, and so does one
 * whose own queue is shorter by more than one. Nothing of this knows of register contexts: a task that comes to
 * another CPU finds that its registers are not valid there, and that is all (fpu/context.h).
 *
 * Of two locks the second is only ever tried for, so that no order of them is needed.
 */
#include "kernel/insn.h"
#include "sched/balance.h"
#include "sched/runqueue.h"
#include "sched/sched.h"

#define BALANCE_TICKS 4

/* Tasks that run there or want to. */
static u32 load_of(const struct cpu *cpu)
{
	return cpu->rq.length + (cpu->current_task != cpu->idle);
}

static bool may_run_on(const struct task *task, const struct cpu *cpu)
{
	return task->affinity & cpu->accepts;
}

/*
 * With the lock of the task's CPU. The loads may change meanwhile, and CPUs go: a poor choice is corrected later, one
 * that accepts nothing any more is refused by who asked.
 */
static struct cpu *choose_cpu(struct task *task)
{
	u64 accepting = cpus_accepting(), allowed;
	struct cpu *best = NULL;

	if (!(task->affinity & accepting))
		task->affinity = ~0ul; /* the last of its CPUs has been taken away */
	allowed = task->affinity & accepting;
	if (allowed & BIT(task->cpu))
		best = cpus[task->cpu];
	for (u32 i = 0; i < ncpus && !(best && !load_of(best)); i++)
		if (allowed & BIT(i) && (!best || load_of(cpus[i]) < load_of(best)))
			best = cpus[i];
	return best;
}

static bool try_place(struct task *task)
{
	struct cpu *from = sched_lock_cpu_of(task), *to = choose_cpu(task);
	bool locked = to == from || try_set_bit0(&to->rq.lock.locked), placed = locked && may_run_on(task, to);

	if (placed)
		sched_enqueue(to, task);
	if (locked && to != from)
		spin_release(&to->rq.lock);
	spin_release(&from->rq.lock);
	return placed;
}

void sched_place(struct task *task)
{
	while (!try_place(task))
		cpu_relax();
}

static struct cpu *longest_queue(const struct cpu *self)
{
	struct cpu *longest = NULL;

	for (u32 i = 0; i < ncpus; i++)
		if (cpus[i] != self && cpus[i]->rq.length && (!longest || cpus[i]->rq.length > longest->rq.length))
			longest = cpus[i];
	return longest;
}

struct task *sched_steal(struct cpu *self)
{
	struct cpu *from = longest_queue(self);
	struct task *task, *found = NULL;

	if (!from || !self->accepts || !try_set_bit0(&from->rq.lock.locked))
		return NULL;
	list_for_each(task, &from->rq.tasks, queue) {
		if (may_run_on(task, self)) {
			found = task;
			break;
		}
	}
	if (found) {
		runqueue_remove(&from->rq, found);
		found->cpu = self->id;
	}
	spin_release(&from->rq.lock);
	return found;
}

bool sched_pull(struct task *task)
{
	struct cpu *from = sched_lock_cpu_of(task);
	bool pulled = !task->on_queue && may_run_on(task, this_cpu->self);

	if (pulled)
		task->cpu = this_cpu->id;
	spin_release(&from->rq.lock);
	return pulled;
}

void sched_balance(struct cpu *self)
{
	const struct cpu *longest;
	struct task *task = NULL;

	if (ncpus == 1 || self->ticks % BALANCE_TICKS)
		return;
	longest = longest_queue(self);
	if (!longest || load_of(longest) <= load_of(self) + 1)
		return;
	spin_acquire(&self->rq.lock);
	task = sched_steal(self);
	if (task)
		sched_enqueue(self, task);
	spin_release(&self->rq.lock);
}

void sched_set_affinity(struct task *task, u64 mask)
{
	u64 flags = irq_save();
	struct cpu *cpu = sched_lock_cpu_of(task);
	bool place = false;

	task->affinity = mask;
	if (may_run_on(task, cpu)) {
		; /* may stay */
	} else if (!list_empty(&task->queue)) {
		runqueue_remove(&cpu->rq, task);
		place = true;
	} else if (cpu->current_task == task) {
		task_set_flag(task, TASK_RESCHED);
		if (cpu != this_cpu->self)
			smp_send_reschedule(cpu->id);
	} else if (!task->on_queue) {
		task->cpu = choose_cpu(task)->id; /* sleeps: an IPC partner may switch to it directly */
	}
	spin_release(&cpu->rq.lock);
	if (place)
		sched_place(task);
	irq_restore(flags);
}

void sched_open_cpu(void)
{
	struct cpu *self = this_cpu->self;

	spin_acquire(&self->rq.lock);
	runqueue_init(&self->rq);
	self->accepts = BIT(self->id);
	spin_release(&self->rq.lock);
}

/* The running task goes when it is preempted, which the flag makes soon. */
void sched_close_cpu(void)
{
	struct cpu *self = this_cpu->self;
	struct task *task;

	spin_acquire(&self->rq.lock);
	self->accepts = 0;
	while ((task = runqueue_take(&self->rq))) {
		spin_release(&self->rq.lock);
		sched_place(task);
		spin_acquire(&self->rq.lock);
	}
	task_set_flag(current, TASK_RESCHED);
	spin_release(&self->rq.lock);
}
