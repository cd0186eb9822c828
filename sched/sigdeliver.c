/*
 * Taking a signal, by the thread itself on its way to user mode: the frame is pushed and the handler will run, or the
 * process ends or stops, or nothing happens; and in each case the system call that was interrupted is told how it ended,
 * or is made to happen again. A tracer is asked first, of each signal. At most one handler each time; the way to user
 * mode comes back while TASK_SIGNAL is set.
 */
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "sched/process.h"
#include "sched/signal.h"

#define SYSCALL_INSN_SIZE 2

void signal_recalculate(void)
{
	struct task *task = current;
	u64 pending = task->signals.pending.set | task->process->pending.set;

	if (task->signals.fault.signo || pending & (~task->signals.mask | task->signals.wanted) ||
	    task->signals.restore_mask || task->stop.due || (task->tracee && task->tracee->interrupted))
		task_set_flag(task, TASK_SIGNAL);
	else
		task_clear_flag(task, TASK_SIGNAL);
}

void signal_set_mask(u64 mask)
{
	struct task *task = current;
	u64 flags = spin_lock_irq(&task_lock), more = mask & ~task->signals.mask;

	task->signals.mask = mask & ~SIG_UNBLOCKABLE;
	if (more & task->process->pending.set)
		signal_retarget(task->process, task);
	signal_recalculate();
	spin_unlock_irq(&task_lock, flags);
}

bool signal_fault(const struct siginfo *info)
{
	struct task *task = current;
	u64 bit = SIG_BIT(info->signo), flags = spin_lock_irq(&task_lock);
	struct sigaction *action = &task->process->sighand->action[info->signo - 1];
	bool ends;

	if (task->signals.mask & bit || action->handler == SIG_IGN) {
		action->handler = SIG_DFL;
		task->signals.mask &= ~bit;
	}
	ends = action->handler == SIG_DFL && !task->tracee;
	task->signals.fault = *info;
	task_set_flag(task, TASK_SIGNAL);
	spin_unlock_irq(&task_lock, flags);
	return ends;
}

/* A fault goes first: its instruction can't go on. */
static int take(struct task *task, struct siginfo *info)
{
	int signal = task->signals.fault.signo;

	if (!signal)
		return signal_take(task->signals.mask, info);
	*info = task->signals.fault;
	task->signals.fault.signo = 0;
	return signal;
}

/* The tracer may change the signal, or forget it: 0. One that is blocked waits for its turn. */
static int ask_tracer(struct task *task, int signal, struct siginfo *info)
{
	int chosen = stop_for_tracer(task, signal, CLD_TRAPPED, info);

	if (chosen && chosen != info->signo)
		*info = (struct siginfo){
			.signo = chosen, .code = SI_USER, .uid = USER_ID,
			.pid = task->tracee ? task->tracee->tracer->tid : task->process->parent->pid,
		};
	if (!chosen || !(task->signals.mask & SIG_BIT(chosen)))
		return chosen;
	signal_send(task->process, task, info);
	return 0;
}

/* What stops the task without being a signal: the process's stop, PTRACE_INTERRUPT. True if it has stopped. */
static bool stop_first(struct task *task)
{
	if (task->stop.due)
		stop_join(task);
	else if (task->tracee && task->tracee->interrupted)
		stop_interrupted(task);
	else
		return false;
	return true;
}

/* The signal whose handler is to run, or 0. With task_lock, let go while the task is stopped. */
static int next_signal(struct task *task, struct siginfo *info)
{
	struct process *process = task->process;
	u64 handler;
	int signal;

	while (!(task->flags & TASK_KILLED)) {
		if (stop_first(task))
			continue;
		signal = take(task, info);
		if (!signal)
			break;
		task->stop.taken = true;
		if (task->tracee && !(signal = ask_tracer(task, signal, info)))
			continue;
		handler = process->sighand->action[signal - 1].handler;
		if (handler > SIG_IGN)
			return signal;
		if (handler == SIG_DFL && signal_deadly(signal))
			signal_kill_process(process, signal);
		else if (handler == SIG_DFL && signal_stops(signal) && task->stop.taken)
			stop_begin(process, signal);
	}
	return 0;
}

/* The interrupted system call has ended, or will be made again. The frame must then be loaded with IRET. */
static void finish_syscall(struct regs *regs, bool handler, u64 sa_flags)
{
	s64 number = (s64)regs->orig_rax, result = (s64)regs->rax;
	bool again;

	regs->orig_rax = ~0ul;
	if (number < 0)
		return; /* no system call */
	switch (-result) {
	case ERESTARTSYS:
		again = !handler || sa_flags & SA_RESTART;
		break;
	case ERESTARTNOINTR:
		again = true;
		break;
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		again = !handler;
		break;
	default:
		return;
	}
	regs->rax = (u64)-EINTR;
	if (!again)
		return;
	regs->rax = result == -ERESTART_RESTARTBLOCK ? SYS_RESTART : (u64)number;
	regs->rip -= SYSCALL_INSN_SIZE;
	task_change_frame();
}

static void restore_saved_mask(struct task *task)
{
	if (!task->signals.restore_mask)
		return;
	task->signals.restore_mask = false;
	signal_set_mask(task->signals.saved_mask);
}

static void no_room(struct task *task, const struct siginfo *info, u64 rsp)
{
	const struct siginfo segv = { .signo = SIGSEGV, .code = SI_KERNEL };

	if (info->signo != SIGSEGV && !signal_fault(&segv))
		return;
	klog("kill: %s[%d]: no room for the frame of signal %d, rsp %lx", task->name, task->tid, info->signo, rsp);
	signal_kill(SIGSEGV);
}

static void run_handler(struct task *task, struct regs *regs, const struct sigaction *action,
			const struct siginfo *info)
{
	u64 old = task->signals.restore_mask ? task->signals.saved_mask : task->signals.mask;
	u64 mask = task->signals.mask | action->mask;
	bool stepping = task->stop.stepping;

	ptrace_set_step(task, false); /* or the frame would have it, and step after the handler's return */
	if (!(action->flags & SA_NODEFER))
		mask |= SIG_BIT(info->signo);
	if (sigframe_push(regs, action, info, old)) {
		no_room(task, info, regs->rsp);
		return;
	}
	task_change_frame();
	task->signals.restore_mask = false;
	signal_set_mask(mask);
	if (stepping)
		ptrace_event(SIGTRAP, 0);
}

void signal_deliver(struct regs *regs)
{
	struct task *task = current;
	struct sigaction action, *at;
	struct siginfo info;
	u64 flags = spin_lock_irq(&task_lock);
	int signal = next_signal(task, &info);

	if (signal) {
		at = &task->process->sighand->action[signal - 1];
		action = *at;
		if (action.flags & SA_RESETHAND)
			at->handler = SIG_DFL;
	}
	signal_recalculate();
	spin_unlock_irq(&task_lock, flags);
	finish_syscall(regs, signal, signal ? action.flags : 0);
	if (signal)
		run_handler(task, regs, &action, &info);
	else
		restore_saved_mask(task);
}

long sys_restart_syscall(void)
{
	struct restart *restart = &current->signals.restart;

	return restart->fn ? restart->fn(restart) : -EINTR;
}
