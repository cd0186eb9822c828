/*
 * Stopping and going on; see stop.h. Who stops tells its parent, or its tracer, by SIGCHLD and by what wait finds. A
 * tracer reads and writes only who is stopped and frozen: from then on nothing but the tracer itself makes it run.
 */
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/ptrace.h"
#include "kernel/spinlock.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/stop.h"

/* Until somebody calls task_wake_stopped. Interrupts were on before task_lock was taken. */
static void sleep_stopped(struct task *task)
{
	if (task->flags & TASK_KILLED)
		return;
	task->state = TASK_STOPPED;
	spin_unlock_irq(&task_lock, RFLAGS_IF);
	schedule();
	spin_lock_irq(&task_lock);
}

/* --- Processes --- */

static void drop_from_all(struct process *process, u64 set)
{
	struct task *task;

	signals_drop_pending(&process->pending, set);
	list_for_each(task, &process->threads, sibling)
		signals_drop_pending(&task->signals.pending, set);
}

static void go_on(struct process *process)
{
	bool complete = process->stop.complete;
	struct task *task;

	process->stop = (struct group_stop){ .continued = complete };
	list_for_each(task, &process->threads, sibling) {
		task->stop.due = task->stop.taken = false;
		if (task->stop.asleep)
			task_wake_stopped(task);
		if (task->tracee && task->tracee->seized)
			tracee_interrupt(task->tracee);
	}
	if (complete)
		signal_tell_stop(process->parent, CLD_CONTINUED, process->pid, SIGCONT);
}

void stop_signal_sent(struct process *process, int signal)
{
	if (signal_stops(signal)) {
		drop_from_all(process, SIG_BIT(SIGCONT));
	} else if (signal == SIGCONT) {
		drop_from_all(process, SIG_STOPS);
		go_on(process);
	}
}

static void make_due(struct process *process, struct task *task)
{
	if (task->stop.due || task->stop.asleep)
		return;
	task->stop.due = true;
	process->stop.due++;
	task_set_flag(task, TASK_SIGNAL);
	task_wake(task);
}

void stop_begin(struct process *process, int signal)
{
	struct task *task;

	if (!process->stop.complete)
		process->stop.signal = signal;
	list_for_each(task, &process->threads, sibling)
		make_due(process, task);
}

void stop_add_thread(struct process *process, struct task *task)
{
	if (process->stop.signal)
		make_due(process, task);
}

bool traced_by_stranger(const struct process *process)
{
	return process->tracee && process->tracee->tracer->process != process->parent;
}

/* The last one tells the parent, unless that hears it as the tracer. */
static void no_longer_due(struct process *process, struct task *task)
{
	task->stop.due = false;
	if (--process->stop.due || process->stop.complete)
		return;
	process->stop.complete = process->stop.untold = true;
	process->stop.continued = false;
	if (!process->tracee || traced_by_stranger(process))
		signal_tell_stop(process->parent, CLD_STOPPED, process->pid, process->stop.signal);
}

void stop_remove_thread(struct process *process, struct task *task)
{
	if (task->stop.due)
		no_longer_due(process, task);
}

/* Stopped for its tracer, a seized task shows the stop as an event, others as a signal that nothing is known of. */
static void stop_traced(struct task *task, int signal)
{
	struct siginfo info = { .signo = signal, .code = PTRACE_EVENT_STOP << 8 | signal, .pid = task->tid };

	if (task->tracee->seized)
		stop_for_tracer(task, info.code, CLD_STOPPED, &info);
	else
		stop_for_tracer(task, signal, CLD_STOPPED, NULL);
}

/* A tracer that attaches to one who sleeps here wakes it, so that it stops for the tracer instead. */
void stop_join(struct task *task)
{
	struct process *process = task->process;
	int signal = process->stop.signal;

	no_longer_due(process, task);
	if (!task->tracee) {
		task->stop.asleep = true;
		sleep_stopped(task);
		task->stop.asleep = false;
	}
	if (task->tracee && process->stop.signal)
		stop_traced(task, signal);
}

/* While its process is stopped, that is what the tracer hears. */
void stop_interrupted(struct task *task)
{
	int signal = task->process->stop.signal;

	stop_traced(task, signal ? signal : SIGTRAP);
}

void stop_wake_killed(struct task *task)
{
	if (!task->tracee || !task->tracee->frozen)
		task_wake_stopped(task);
}

/* --- Tracees --- */

void tracee_interrupt(struct tracee *tracee)
{
	tracee->interrupted = true;
	task_set_flag(tracee->task, TASK_SIGNAL);
	if (tracee->listening)
		task_wake_stopped(tracee->task);
	else
		task_wake(tracee->task);
}

int stop_for_tracer(struct task *task, int code, int why, struct siginfo *info)
{
	struct tracee *tracee = task->tracee;

	if (!tracee || task->flags & TASK_KILLED)
		return 0;
	task->stop.signal = 0;
	tracee->info = info;
	tracee->status = code << 8 | STATUS_STOPPED;
	tracee->interrupted = false;
	tracee->stopped = true;
	signal_tell_stop(tracee->tracer->process, why, tracee->tid, code & 0x7f);
	sleep_stopped(task);
	if (task->tracee) { /* killed, or interrupted while it listened, it was not let go by its tracer */
		task->tracee->stopped = task->tracee->listening = false;
		task->tracee->status = 0;
		task->tracee->info = NULL;
	}
	task_change_frame();
	signal_recalculate();
	return task->flags & TASK_KILLED ? 0 : task->stop.signal;
}

bool tracer_takes_zombie(struct process *process)
{
	struct tracee *tracee = process->tracee;

	if (!traced_by_stranger(process))
		return false;
	if (signal_tell_end(tracee->tracer->process, SIGCHLD, tracee->tid, process->exit_status))
		untrace(tracee, 0);
	return true;
}

static void untrace_task(struct tracee *tracee, struct task *task, int signal)
{
	task->tracee = NULL;
	task_clear_flag(task, TASK_TRACED);
	if (task->process->stop.signal && !(task->flags & TASK_KILLED))
		make_due(task->process, task);
	if (!tracee->stopped && !tracee->listening)
		return;
	ptrace_set_step(task, false);
	task->stop.signal = signal;
	task_wake_stopped(task);
}

void untrace(struct tracee *tracee, int signal)
{
	struct process *process = tracee->process;
	bool withheld = process && process->zombie && traced_by_stranger(process);

	list_del(&tracee->link);
	if (process)
		process->tracee = NULL;
	if (tracee->task)
		untrace_task(tracee, tracee->task, signal);
	if (withheld)
		process_tell_end(process);
	kfree(tracee);
}

void tracee_renamed(struct task *task)
{
	struct process *process = task->process;

	if (process->tracee) /* the old first thread's, whose end will not be told */
		untrace(process->tracee, 0);
	process->tracee = task->tracee;
	if (!task->tracee)
		return;
	task->tracee->tid = task->tid;
	task->tracee->process = process;
}

void tracee_gone(struct task *task)
{
	struct tracee *tracee = task->tracee;
	struct process *process = task->process;

	if (!tracee)
		return;
	task->tracee = NULL;
	tracee->task = NULL;
	if (tracee->process) /* told when the whole process has ended */
		return;
	tracee->status = process->killed ? process->exit_status : task->exit_status;
	if (signal_tell_end(tracee->tracer->process, SIGCHLD, tracee->tid, tracee->status))
		untrace(tracee, 0);
}

/* A signal that a tracee is stopped for, and that wait has not yet told of, it gets. */
void tracer_gone(struct task *task)
{
	struct tracee *tracee, *next;

	list_for_each_safe(tracee, next, &task->tracees, link) {
		int code = tracee->stopped ? tracee->status >> 8 : 0;
		bool at_signal = code && tracee->info && tracee->info->code != code;

		if (tracee->options & PTRACE_O_EXITKILL && tracee->task)
			signal_kill_process(tracee->task->process, SIGKILL);
		untrace(tracee, at_signal ? tracee->info->signo : 0);
	}
}
