/*
 * ptrace's requests: who traces whom, and what a tracer asks of a stopped tracee; with ptrace_regs.c for registers and
 * ptrace_info.c for what a stop is about. Where tracees stop is in ptrace_stops.c and sched/sigdeliver.c. Everything
 * that looks into a tracee happens while it is frozen and off its CPU. Missing, and answered as unknown: seccomp,
 * hardware breakpoints.
 */
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/stop.h"

/* --- Who traces whom --- */

static void trace(struct tracee *tracee, struct task *task, struct task *tracer)
{
	tracee->task = task;
	tracee->tracer = tracer;
	tracee->tid = task->tid;
	task->tracee = tracee;
	list_add_before(&tracee->link, &tracer->tracees);
	if (task->tid == task->process->pid) {
		tracee->process = task->process;
		task->process->tracee = tracee;
	}
}

bool ptrace_adopt_child(struct tracee *tracee, struct task *child)
{
	const struct tracee *parent = current->tracee;

	if (!tracee || !parent)
		return false;
	tracee->seized = parent->seized;
	tracee->options = parent->options;
	trace(tracee, child, parent->tracer);
	if (tracee->seized)
		tracee->interrupted = true;
	else
		child->signals.pending.set |= SIG_BIT(SIGSTOP);
	task_set_flag(child, TASK_SIGNAL);
	return true;
}

/* The thread that forked the process, or another one of the parent if that has ended; or NULL. */
static struct task *maker_of(const struct process *process)
{
	struct process *parent = process->parent;
	struct task *maker = task_find(process->maker);

	if (maker && maker->process == parent)
		return maker;
	return list_empty(&parent->threads) ? NULL : list_first(&parent->threads, struct task, sibling);
}

static long trace_me(void)
{
	struct tracee *tracee = kzalloc(sizeof(*tracee));
	u64 flags = spin_lock_irq(&task_lock);
	struct task *task = current, *tracer = maker_of(task->process);
	bool allowed = tracee && !task->tracee && tracer;

	if (allowed)
		trace(tracee, task, tracer);
	spin_unlock_irq(&task_lock, flags);
	if (!allowed)
		kfree(tracee);
	return allowed ? 0 : tracee ? -EPERM : -ENOMEM;
}

/* With task_lock. */
static long attach_locked(struct tracee *tracee, int pid, u64 address, u64 options)
{
	const struct siginfo stop = { .signo = SIGSTOP, .code = SI_KERNEL };
	struct task *task = task_find(pid);

	if (!task)
		return -ESRCH;
	if (address || options & ~(u64)PTRACE_O_MASK)
		return -EIO;
	tracee->options = (u32)options;
	if (task->process == current->process || task->tracee || task->flags & TASK_KILLED)
		return -EPERM;
	trace(tracee, task, current);
	if (!tracee->seized)
		signal_send(task->process, task, &stop);
	if (task->stop.asleep)
		task_wake_stopped(task);
	return 0;
}

static long attach(int pid, bool seize, u64 address, u64 options)
{
	struct tracee *tracee = kzalloc(sizeof(*tracee));
	long error;
	u64 flags;

	if (!tracee)
		return -ENOMEM;
	tracee->seized = seize;
	flags = spin_lock_irq(&task_lock);
	error = attach_locked(tracee, pid, seize ? address : 0, seize ? options : 0);
	spin_unlock_irq(&task_lock, flags);
	if (error)
		kfree(tracee);
	return error;
}

/* --- Requests --- */

/* The caller's tracee, if it is stopped; it stays so until thaw, and is on no CPU. */
static struct tracee *freeze(int pid)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct task *task = task_find(pid);
	struct tracee *tracee = task ? task->tracee : NULL;

	if (tracee && (tracee->tracer != current || !tracee->stopped || task->flags & TASK_KILLED))
		tracee = NULL;
	if (tracee)
		tracee->frozen = true;
	spin_unlock_irq(&task_lock, flags);
	if (tracee)
		sched_wait_off_cpu(task);
	return tracee;
}

static void thaw(struct tracee *tracee)
{
	u64 flags = spin_lock_irq(&task_lock);

	tracee->frozen = false;
	if (tracee->task->flags & TASK_KILLED)
		task_wake_stopped(tracee->task);
	spin_unlock_irq(&task_lock, flags);
}

static void go_on(struct tracee *tracee, enum trace_mode mode, int signal)
{
	struct task *task = tracee->task;
	u64 flags;

	ptrace_set_step(task, mode == TRACE_STEP || mode == TRACE_SYSEMU_STEP);
	flags = spin_lock_irq(&task_lock);
	tracee->mode = (u8)mode;
	(mode == TRACE_CONT ? task_clear_flag : task_set_flag)(task, TASK_TRACED);
	task->stop.signal = signal;
	tracee->stopped = tracee->frozen = false;
	tracee->status = 0;
	tracee->info = NULL;
	task_wake_stopped(task);
	spin_unlock_irq(&task_lock, flags);
}

/* Requests after which the tracee is no longer frozen. -EIO: it stays as it is. */
static long let_go(struct tracee *tracee, u64 request, u64 signal)
{
	static const u8 modes[] = {
		[PTRACE_CONT] = TRACE_CONT, [PTRACE_SYSCALL] = TRACE_SYSCALL, [PTRACE_SINGLESTEP] = TRACE_STEP,
		[PTRACE_SYSEMU] = TRACE_SYSEMU, [PTRACE_SYSEMU_SINGLESTEP] = TRACE_SYSEMU_STEP,
	};
	u64 flags;

	if (signal > SIGNALS) {
		thaw(tracee);
		return -EIO;
	}
	if (request != PTRACE_DETACH) {
		go_on(tracee, modes[request], (int)signal);
		return 0;
	}
	flags = spin_lock_irq(&task_lock);
	untrace(tracee, (int)signal);
	spin_unlock_irq(&task_lock, flags);
	return 0;
}

/* A tracee in its process's stop stays there, but the tracer waits for it again, and can do nothing else with it. */
static long listen(struct tracee *tracee)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool in_stop = tracee->seized && tracee->info && tracee->info->code >> 8 == PTRACE_EVENT_STOP;

	if (in_stop) {
		tracee->listening = true;
		tracee->stopped = tracee->frozen = false;
		tracee->status = 0;
		tracee->info = NULL;
		if (tracee->interrupted || tracee->task->flags & TASK_KILLED)
			task_wake_stopped(tracee->task);
	}
	spin_unlock_irq(&task_lock, flags);
	if (in_stop)
		return 0;
	thaw(tracee);
	return -EIO;
}

static long peek(struct task *task, u64 address, u64 user_value)
{
	u64 value;

	if (mm_access(task->mm, address, &value, sizeof(value), false) != sizeof(value))
		return -EIO;
	return copy_to_user(user_value, &value, sizeof(value));
}

static long poke(struct task *task, u64 address, u64 value)
{
	return mm_access(task->mm, address, &value, sizeof(value), true) == sizeof(value) ? 0 : -EIO;
}

static long peek_user(struct task *task, u64 offset, u64 user_value)
{
	u64 value;
	long error = ptrace_peek_user(task, offset, &value);

	return error ? error : copy_to_user(user_value, &value, sizeof(value));
}

static long set_options(struct tracee *tracee, u64 options)
{
	if (options & ~(u64)PTRACE_O_MASK)
		return -EINVAL;
	tracee->options = (u32)options;
	return 0;
}

static long on_stopped(struct tracee *tracee, u64 request, u64 address, u64 data)
{
	struct task *task = tracee->task;

	switch (request) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		return peek(task, address, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return poke(task, address, data);
	case PTRACE_PEEKUSER:
		return peek_user(task, address, data);
	case PTRACE_POKEUSER:
		return ptrace_poke_user(task, address, data);
	case PTRACE_GETREGS:
		return ptrace_get_regs(task, data);
	case PTRACE_SETREGS:
		return ptrace_set_regs(task, data);
	case PTRACE_GETFPREGS:
		return ptrace_get_fpregs(task, data);
	case PTRACE_SETFPREGS:
		return ptrace_set_fpregs(task, data);
	case PTRACE_GETREGSET:
	case PTRACE_SETREGSET:
		return ptrace_regset(task, address, data, request == PTRACE_SETREGSET);
	case PTRACE_SETOPTIONS:
		return set_options(tracee, data);
	default:
		return ptrace_info(tracee, request, address, data);
	}
}

/* Requests that a running tracee gets, too. */
static long on_any(int pid, u64 request)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct task *task = task_find(pid);
	struct tracee *tracee = task ? task->tracee : NULL;
	long result = 0;

	if (!tracee || tracee->tracer != current) {
		result = -ESRCH;
	} else if (request == PTRACE_KILL) {
		signal_kill_process(task->process, SIGKILL);
	} else if (!tracee->seized) {
		result = -EIO;
	} else if (!tracee->stopped) {
		tracee_interrupt(tracee);
	}
	spin_unlock_irq(&task_lock, flags);
	return result;
}

static bool lets_go(u64 request)
{
	return request == PTRACE_CONT || request == PTRACE_SYSCALL || request == PTRACE_SINGLESTEP ||
	       request == PTRACE_SYSEMU || request == PTRACE_SYSEMU_SINGLESTEP || request == PTRACE_DETACH;
}

long sys_ptrace(u64 request, int pid, u64 address, u64 data)
{
	struct tracee *tracee;
	long result;

	if (request == PTRACE_TRACEME)
		return trace_me();
	if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
		return attach(pid, request == PTRACE_SEIZE, address, data);
	if (request == PTRACE_KILL || request == PTRACE_INTERRUPT)
		return on_any(pid, request);
	tracee = freeze(pid);
	if (!tracee)
		return -ESRCH;
	if (lets_go(request))
		return let_go(tracee, request, data);
	if (request == PTRACE_LISTEN)
		return listen(tracee);
	result = on_stopped(tracee, request, address, data);
	thaw(tracee);
	return result;
}
