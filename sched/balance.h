/* Which CPU a task waits for; see balance.c. All of it with interrupts off. */
#ifndef SCHED_BALANCE_H
#define SCHED_BALANCE_H

#include "kernel/smp.h"
#include "kernel/spinlock.h"
#include "sched/runqueue.h"
#include "sched/task.h"

/* Takes the lock of the CPU that the task belongs to. The task may change CPUs until one has it. */
static inline struct cpu *sched_lock_cpu_of(const struct task *task)
{
	for (;;) {
		struct cpu *cpu = cpus[__atomic_load_n(&task->cpu, __ATOMIC_RELAXED)];

		spin_acquire(&cpu->rq.lock);
		if (likely(cpus[task->cpu] == cpu))
			return cpu;
		spin_release(&cpu->rq.lock);
	}
}

/* With the CPU's lock: it has one more task, and something to do. */
static inline void sched_enqueue(struct cpu *cpu, struct task *task)
{
	task->cpu = cpu->id;
	runqueue_add(&cpu->rq, task);
	if (cpu->current_task != cpu->idle)
		return;
	task_set_flag(cpu->idle, TASK_RESCHED);
	if (cpu != this_cpu->self)
		smp_send_reschedule(cpu->id);
}

/* Puts a runnable task that is in no queue (but on_queue) into the queue of a CPU where it may run. Without locks. */
void sched_place(struct task *task);

/* With the running CPU's lock: takes a task out of the longest other queue, or NULL. */
struct task *sched_steal(struct cpu *self);

/* Makes a sleeping task this CPU's and gives true, if it is off its own and may run here. Without locks. */
bool sched_pull(struct task *task);

/* From the tick: evens out the queues. */
void sched_balance(struct cpu *self);

#endif
