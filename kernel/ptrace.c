/*
 * ptrace, but for the registers (ptrace_regs.c) and the stops (sched/stop.c): who traces whom, what a tracer asks of a
 * stopped tracee, and where a tracee stops besides signals. Everything that looks into a tracee happens while it is
 * frozen and off its CPU. Missing, and answered as unknown: LISTEN, seccomp, hardware breakpoints, SYSCALL_USER_DISPATCH.
 */
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/stop.h"

#define AUDIT_ARCH_X86_64 0xc000003eu

/* --- Who traces whom --- */

/* With task_lock. */
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

/* --- What a tracee stops for, besides signals --- */

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

bool ptrace_asked_event(enum ptrace_event event, u64 message)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool asked = current->tracee && current->tracee->options & PTRACE_O_EVENT(event);

	spin_unlock_irq(&task_lock, flags);
	if (asked)
		ptrace_event((int)event << 8 | SIGTRAP, message);
	return asked;
}

void ptrace_exec(int old_tid)
{
	if (!ptrace_asked_event(PTRACE_EVENT_EXEC, (u64)old_tid) && current->tracee && !current->tracee->seized)
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

u64 ptrace_syscall_entry(struct regs *regs)
{
	bool good;
	enum trace_mode mode = mode_now(&good);
	bool emulated = mode == TRACE_SYSEMU || mode == TRACE_SYSEMU_STEP;

	regs->rax = (u64)-ENOSYS;
	if (mode == TRACE_SYSCALL || emulated)
		stop_at_syscall(good, PTRACE_SYSCALL_ENTRY);
	return emulated || task_killed() ? ~0ul : regs->orig_rax;
}

/* The step that began with the system call is complete before the next instruction. */
static void step_over(const struct regs *regs)
{
	const struct siginfo info = { .signo = SIGTRAP, .code = TRAP_BRKPT, .address = regs->rip };

	current->signals.trap.vector = EXC_DEBUG;
	current->signals.trap.error = 0;
	signal_fault(&info);
}

bool syscall_exit_work(struct regs *regs)
{
	if (unlikely(current->flags & TASK_TRACED)) {
		bool good;
		enum trace_mode mode;

		irq_enable();
		mode = mode_now(&good);
		if (mode == TRACE_SYSCALL)
			stop_at_syscall(good, PTRACE_SYSCALL_EXIT);
		else if (mode == TRACE_STEP)
			step_over(regs);
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

static long get_siginfo(const struct tracee *tracee, u64 user_info)
{
	if (!tracee->info)
		return -EINVAL;
	return clear_user(user_info, SIGINFO_SIZE) || copy_to_user(user_info, tracee->info, sizeof(*tracee->info)) ?
	       -EFAULT : 0;
}

static long set_siginfo(struct tracee *tracee, u64 user_info)
{
	struct siginfo info;

	if (copy_from_user(&info, user_info, sizeof(info)))
		return -EFAULT;
	if (!tracee->info)
		return -EINVAL;
	*tracee->info = info;
	return 0;
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
	case PTRACE_GETEVENTMSG:
		return copy_to_user(data, &tracee->message, sizeof(tracee->message));
	case PTRACE_GETSIGINFO:
		return get_siginfo(tracee, data);
	case PTRACE_SETSIGINFO:
		return set_siginfo(tracee, data);
	default:
		return -EIO;
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
		tracee->interrupted = true;
		task_set_flag(task, TASK_SIGNAL);
		task_wake(task);
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
	result = on_stopped(tracee, request, address, data);
	thaw(tracee);
	return result;
}
