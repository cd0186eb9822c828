/*
 * Round robin, on each CPU for itself; which CPU a task waits for is balance.c's business. schedule() picks the next
 * task and switches to it; everything that belongs to a task and not to the CPU (address space, segment bases, FPU
 * registers, kernel stack) changes hands in switch_context. The idle task runs when nothing else can.
 *
 * A task belongs to the CPU that task->cpu names, and that CPU's rq.lock covers it. The lock is held, interrupts off,
 * from the choice of the next task until nobody stands on the old one's stack any more (switch.asm lets it go), so
 * that whoever has the lock finds the task either running, or completely off its CPU.
 */
#include "fpu/switch.h"
#include "kernel/insn.h"
#include "kernel/ldt.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "kernel/spinlock.h"
#include "sched/balance.h"
#include "sched/runqueue.h"
#include "sched/sched.h"
#include "sched/switch.h"
#include "sched/task.h"

/*
 * The data-segment selectors matter only if a program loaded one. The bases a program can change itself only
 * with FSGSBASE; else arch_prctl has noted them in the task.
 */
static inline void save_segments(struct task *task)
{
	asm volatile("mov %%ds, %0\n\tmov %%es, %1\n\tmov %%fs, %2\n\tmov %%gs, %3"
		     : "=m"(task->ds), "=m"(task->es), "=m"(task->fs), "=m"(task->gs));
	this_cpu->selectors = task->selectors;
	if (likely(cpu_features.fsgsbase)) {
		task->fs_base = rdfsbase();
		task->gs_base = read_user_gsbase();
	}
}

/* Loading a selector changes the base, and GS is the kernel's own at this point: hence the SWAPGS pair. */
static inline void load_selectors(const struct task *task)
{
	asm volatile("mov %0, %%ds\n\tmov %1, %%es\n\tmov %2, %%fs\n\t"
		     "swapgs\n\tmov %3, %%gs\n\tswapgs"
		     :
		     : "m"(task->ds), "m"(task->es), "m"(task->fs), "m"(task->gs));
}

/* A tracer may have set selectors of a local table that isn't there. */
static inline void change_selectors(struct task *next)
{
	if (unlikely((next->selectors & SELECTORS_LDT) != 0))
		next->selectors = ldt_usable_selectors(next->selectors);
	load_selectors(next);
	this_cpu->selectors = next->selectors;
}

/* With a local table, or without FSGSBASE. A task that exits may have no mm any more; it sees no user mode again. */
static __attribute__((noinline)) void load_segments_slowly(struct task *next)
{
	if (next->mm)
		ldt_switch(next->mm->ldt);
	change_selectors(next);
	if (cpu_features.fsgsbase) {
		wrfsbase(next->fs_base);
		write_user_gsbase(next->gs_base);
	} else {
		wrmsr(MSR_FS_BASE, next->fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, next->gs_base);
	}
}

/* What the CPU holds counts, not what the previous task had: that may be a kernel thread. */
static inline void load_segments(struct task *next)
{
	if (unlikely(!segments_plain)) {
		load_segments_slowly(next);
		return;
	}
	if (unlikely((this_cpu->selectors | next->selectors) != 0))
		change_selectors(next);
	wrfsbase(next->fs_base);
	write_user_gsbase(next->gs_base);
}

/* Called by switch_stacks on the new task's stack, with no lock. */
void sched_see_off(void)
{
	struct task *task = this_cpu->left;

	this_cpu->left = NULL;
	if (task->state == TASK_DEAD)
		task_free(task);
	else
		sched_place(task);
}

/* What belongs to a user task and not to the CPU: saved when it leaves, loaded when it comes. */
static inline void save_user_task(struct task *prev)
{
	save_segments(prev);
	fpu_switch_out(&prev->fpu);
}

static inline void load_user_task(struct task *next)
{
	load_segments(next);
	fpu_switch_in(&next->fpu);
}

void sched_exchange_space(struct mm *mm, struct user_segments *segments)
{
	struct task *task = current;
	struct user_segments had;

	save_segments(task);
	had = task->segments;
	task->segments = *segments;
	*segments = had;
	task->mm = mm;
	mm_switch(mm);
	load_segments(task);
}

/* The rest of a switch. Returns when prev runs again. */
static inline void change_stacks(struct task *prev, struct task *next)
{
	this_cpu->switches++;
	this_cpu->tss.rsp[0] = next->kstack;
	this_cpu->current_task = next;
	switch_stacks(&prev->rsp, next->rsp);
}

static inline void switch_context(struct task *prev, struct task *next)
{
	if (prev->process)
		save_user_task(prev);
	if (next->mm) /* not while it exits, or in a kernel thread: any address space will do */
		mm_switch(next->mm);
	if (next->process)
		load_user_task(next);
	change_stacks(prev, next);
}

static inline void put_aside(struct task *prev, bool preempted)
{
	task_clear_flag(prev, TASK_RESCHED);
	if (prev == this_cpu->idle)
		return;
	if (!preempted && prev->state != TASK_RUNNING)
		prev->on_queue = false;
	else if (likely(prev->affinity & this_cpu->accepts))
		runqueue_add(&this_cpu->self->rq, prev);
	else
		this_cpu->left = prev;
}

/* The queue is empty. */
static __attribute__((noinline)) struct task *take_elsewhere(void)
{
	struct task *task = sched_steal(this_cpu->self);

	return task ? task : this_cpu->idle;
}

static inline void reschedule(bool preempted)
{
	struct task *prev = current, *next;

	spin_acquire(&this_cpu->self->rq.lock);
	put_aside(prev, preempted);
	next = runqueue_take(&this_cpu->self->rq);
	if (unlikely(!next))
		next = take_elsewhere();
	this_cpu->slice = SLICE_TICKS;
	if (next != prev)
		switch_context(prev, next);
	else
		spin_release(&this_cpu->self->rq.lock);
}

void schedule(void)
{
	irq_disable();
	reschedule(false);
	irq_enable();
}

void schedule_preempted(void)
{
	reschedule(true);
}

/*
 * next is another CPU's, and stays there if it must; or something else has woken one of the two, or has something for
 * us to do, or our time is over: both take their turn. With this CPU's lock, and the caller's.
 */
static __attribute__((noinline)) void schedule_to_slowly(struct task *next, struct spinlock *lock)
{
	bool pull = next->cpu != this_cpu->id;

	spin_release(&this_cpu->self->rq.lock);
	if (pull && sched_pull(next)) {
		schedule_to(next, lock);
		return;
	}
	task_wake(next);
	if (current->flags & (TASK_KILLED | TASK_SIGNAL))
		current->state = TASK_RUNNING;
	spin_release(lock);
	reschedule(false);
}

/* next runs on what is left of the slice, so that a pair that calls each other for ever starves nobody. */
void schedule_to(struct task *next, struct spinlock *lock)
{
	struct task *prev = current;

	spin_acquire(&this_cpu->self->rq.lock);
	if (unlikely(next->cpu != this_cpu->id || next->on_queue || prev->state != TASK_SLEEPING ||
		     prev->flags & (TASK_RESCHED | TASK_KILLED | TASK_SIGNAL))) {
		schedule_to_slowly(next, lock);
		return;
	}
	spin_release(lock);
	next->state = TASK_RUNNING;
	next->on_queue = true;
	prev->on_queue = false;
	save_user_task(prev);
	mm_switch(next->mm);
	load_user_task(next);
	change_stacks(prev, next);
}

void sched_first_run(void)
{
	irq_enable();
}

void sched_die(void)
{
	irq_disable();
	fpu_death(&current->fpu);
	this_cpu->selectors = ~0ul; /* nobody looks at what it leaves in them: the next user task loads its own */
	current->state = TASK_DEAD;
	this_cpu->left = current;
	schedule();
	panic("a dead task ran");
}

void task_will_sleep(void)
{
	current->state = TASK_SLEEPING;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void wake_from(struct task *task, enum task_state state)
{
	u64 flags = irq_save();
	struct cpu *cpu = sched_lock_cpu_of(task);
	bool place = false;

	if (task->state == state) {
		task->state = TASK_RUNNING;
		place = !task->on_queue; /* else it is still on its CPU, or preempted */
		task->on_queue = true;
		if (place && ncpus == 1) {
			sched_enqueue(cpu, task);
			place = false;
		}
	} else if (cpu->current_task == task && cpu != this_cpu->self && task->flags & (TASK_KILLED | TASK_SIGNAL)) {
		smp_send_reschedule(cpu->id); /* it should know at once */
	}
	spin_release(&cpu->rq.lock);
	if (place)
		sched_place(task);
	irq_restore(flags);
}

void task_wake(struct task *task)
{
	wake_from(task, TASK_SLEEPING);
}

void task_wake_stopped(struct task *task)
{
	wake_from(task, TASK_STOPPED);
}

static bool on_cpu(const struct task *task)
{
	u64 flags = irq_save();
	struct cpu *cpu = sched_lock_cpu_of(task);
	bool on = task->on_queue;

	spin_release(&cpu->rq.lock);
	irq_restore(flags);
	return on;
}

/* It was stopped a moment ago, and is on its way off, or was preempted there. */
void sched_wait_off_cpu(const struct task *task)
{
	while (on_cpu(task))
		schedule();
}

void sched_tick(void)
{
	struct task *task = current;

	sched_balance(this_cpu->self);
	if (this_cpu->slice && --this_cpu->slice)
		return;
	if (task != this_cpu->idle && this_cpu->rq.length)
		task_set_flag(task, TASK_RESCHED);
}

void preempt_schedule(void)
{
	u64 flags = irq_save();

	/* Not from inside an interrupt handler, whose interrupts are off. */
	if (flags & RFLAGS_IF && need_resched() && !this_cpu->preempt_count)
		schedule_preempted();
	irq_restore(flags);
}

/* STI takes effect after the next instruction, so no wake-up can slip in between the test and HLT. */
void idle_loop(void)
{
	for (;;) {
		irq_disable();
		if (unlikely(!this_cpu->accepts))
			smp_go_offline();
		if (this_cpu->rq.length) {
			irq_enable();
			schedule();
		} else {
			fpu_idle(&this_cpu->self->fpu);
			asm volatile("sti; hlt" ::: "memory");
		}
	}
}
