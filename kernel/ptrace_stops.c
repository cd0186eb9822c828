/*
 * Where a tracee stops for its tracer, besides signals and the process's stop (sched/sigdeliver.c): at both edges of a
 * system call, after each step, and when it forks, starts a program or ends. Always by the tracee itself.
 */
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/ptrace.h"
#include "kernel/traps.h"
#include "kernel/vcpu.h"
#include "sched/process.h"
#include "sched/stop.h"

int ptrace_event(int code, u64 message)
{
	struct task *task = current;
	struct siginfo info = { .signo = SIGTRAP, .code = code, .pid = task->tid, .uid = USER_ID };
	u64 flags = spin_lock_irq(&task_lock);
	int signal;

	if (task->tracee)
		task->tracee->message = message;
	signal = stop_for_tracer(task, code, CLD_TRAPPED, &info);
	spin_unlock_irq(&task_lock, flags);
	return signal;
}

bool ptrace_asked(enum ptrace_event event)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool asked = current->tracee && current->tracee->options & PTRACE_O_EVENT(event);

	spin_unlock_irq(&task_lock, flags);
	return asked;
}

bool ptrace_asked_event(enum ptrace_event event, u64 message)
{
	bool asked = unlikely(current->tracee) && ptrace_asked(event);

	if (asked)
		ptrace_event((int)event << 8 | SIGTRAP, message);
	return asked;
}

void ptrace_exec(int old_tid)
{
	u64 flags;
	bool legacy;

	if (ptrace_asked_event(PTRACE_EVENT_EXEC, (u64)old_tid))
		return;
	flags = spin_lock_irq(&task_lock);
	legacy = current->tracee && !current->tracee->seized;
	spin_unlock_irq(&task_lock, flags);
	if (legacy)
		signal_self(SIGTRAP);
}

/* The mode that the tracer has let the running task go on in. */
static enum trace_mode mode_now(bool *good)
{
	u64 flags = spin_lock_irq(&task_lock);
	const struct tracee *tracee = current->tracee;
	enum trace_mode mode = tracee ? tracee->mode : TRACE_CONT;

	*good = tracee && tracee->options & PTRACE_O_TRACESYSGOOD;
	spin_unlock_irq(&task_lock, flags);
	return mode;
}

/* A signal that the tracer gives at a system call is sent like any other. */
static void stop_at_syscall(bool good, u64 message)
{
	struct siginfo info = { .code = SI_KERNEL };
	u64 flags;

	info.signo = ptrace_event(SIGTRAP | (good ? 0x80 : 0), message);
	if (!info.signo)
		return;
	flags = spin_lock_irq(&task_lock);
	signal_send(current->process, current, &info);
	spin_unlock_irq(&task_lock, flags);
}

static u64 syscall_unwatched(const struct regs *regs)
{
	irq_disable();
	cpu_watch_syscalls(false);
	irq_enable();
	return regs->orig_rax;
}

u64 ptrace_syscall_entry(struct regs *regs)
{
	bool good, emulated;
	enum trace_mode mode;

	if (in_guest()) {
		vcpu_hypercall(regs);
		return ~0ul;
	}
	if (!(current->flags & TASK_TRACED))
		return syscall_unwatched(regs);
	mode = mode_now(&good);
	emulated = mode == TRACE_SYSEMU || mode == TRACE_SYSEMU_STEP;
	regs->rax = (u64)-ENOSYS;
	if (mode == TRACE_SYSCALL || emulated)
		stop_at_syscall(good, PTRACE_SYSCALL_ENTRY);
	return emulated || task_killed() ? ~0ul : regs->orig_rax;
}

/* The step that began with the system call is complete before the next instruction; exec has told so already. */
static void step_over(const struct regs *regs)
{
	const struct siginfo info = { .signo = SIGTRAP, .code = TRAP_BRKPT, .address = regs->rip };

	if (current->signals.pending.set & SIG_BIT(SIGTRAP))
		return;
	current->signals.trap.vector = EXC_DEBUG;
	current->signals.trap.error = 0;
	signal_fault(&info);
}

void ptrace_syscall_exit(const struct regs *regs)
{
	enum trace_mode mode;
	bool good;

	if (likely(!(current->flags & TASK_TRACED)))
		return;
	mode = mode_now(&good);
	if (mode == TRACE_SYSCALL)
		stop_at_syscall(good, PTRACE_SYSCALL_EXIT);
	else if (mode == TRACE_STEP)
		step_over(regs);
}

/* vcpu_run comes to its end when the guest's run does. */
bool syscall_exit_work(struct regs *regs)
{
	if (unlikely(current->flags & TASK_TRACED) && !in_guest()) {
		irq_enable();
		ptrace_syscall_exit(regs);
		irq_disable();
	}
	return exit_to_user_work(regs);
}

void ptrace_set_step(struct task *task, bool on)
{
	struct regs *regs = task_regs(task);

	if (on && !(regs->rflags & RFLAGS_TF)) {
		regs->rflags |= RFLAGS_TF;
		task->stop.stepping = true;
	} else if (!on && task->stop.stepping) {
		regs->rflags &= ~RFLAGS_TF;
		task->stop.stepping = false;
	}
}

/* The tracer has gone while the task was running. */
bool ptrace_stray_step(struct regs *regs)
{
	struct task *task = current;

	if (!task->stop.stepping || task->tracee)
		return false;
	ptrace_set_step(task, false);
	return true;
}
