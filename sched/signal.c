/*
 * Sending signals: kill, tkill, tgkill, rt_sigqueueinfo, and what the kernel sends itself. A signal that would end the
 * process ends it here already, if one of its threads would take it; one that nobody wants is forgotten; all others
 * become pending. What a traced thread would take is always pending: its tracer sees it first. Any context: ^C comes in
 * an interrupt.
 */
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/signal.h"

#define MAX_QUEUED 1024

bool signal_deadly(int signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
		return false;
	default:
		return !signal_stops(signal);
	}
}

void signal_kill_process(struct process *process, int signal)
{
	if (process->zombie || process->killed)
		return;
	process->exit_status = signal;
	process->killed = true;
	process_kill_threads(process, NULL);
}

static u64 handler_of(const struct process *process, int signal)
{
	return process->sighand ? process->sighand->action[signal - 1].handler : SIG_DFL;
}

static bool ignored(const struct process *process, int signal)
{
	u64 handler = handler_of(process, signal);

	return handler == SIG_IGN || (handler == SIG_DFL && !signal_deadly(signal) && !signal_stops(signal));
}

/* The signals that the task would take, or waits for. */
static u64 signals_open(const struct task *task)
{
	return ~task->signals.mask | task->signals.wanted;
}

static bool takes(const struct task *task, int signal)
{
	return signals_open(task) & SIG_BIT(signal) && task->state != TASK_STOPPED;
}

/* A thread that is not stopped and does not block the signal, or NULL. */
static struct task *find_taker(struct process *process, struct task *task, int signal)
{
	if (task)
		return takes(task, signal) ? task : NULL;
	list_for_each(task, &process->threads, sibling)
		if (takes(task, signal))
			return task;
	return NULL;
}

/* True if it becomes pending whatever its action is. */
static bool kept(const struct process *process, const struct task *taker, int signal)
{
	if (!taker)
		return !list_empty(&process->threads);
	return taker->tracee || taker->signals.wanted & SIG_BIT(signal);
}

/* -EAGAIN if it would have to be queued, being one of the real-time signals, and can't. */
static long make_pending(struct sigpending *pending, const struct siginfo *info)
{
	struct pending_signal *entry;

	if (pending->set & SIG_BIT(info->signo) && (info->signo < SIGRTMIN || pending->queued >= MAX_QUEUED))
		return info->signo < SIGRTMIN ? 0 : -EAGAIN;
	pending->set |= SIG_BIT(info->signo);
	entry = pending->queued < MAX_QUEUED ? kmalloc(sizeof(*entry)) : NULL;
	if (!entry)
		return 0;
	entry->info = *info;
	list_add_before(&entry->link, &pending->queue);
	pending->queued++;
	return 0;
}

static void notify(struct task *task)
{
	task_set_flag(task, TASK_SIGNAL);
	task_wake(task);
}

long signal_send(struct process *process, struct task *task, const struct siginfo *info)
{
	int signal = info->signo;
	struct task *taker;
	long error;

	if (signal == SIGKILL)
		signal_kill_process(process, signal);
	if (process->zombie || process->killed)
		return 0;
	stop_signal_sent(process, signal);
	taker = find_taker(process, task, signal);
	if (!kept(process, taker, signal)) {
		if (ignored(process, signal))
			return 0;
		if (handler_of(process, signal) == SIG_DFL && !signal_stops(signal)) {
			signal_kill_process(process, signal);
			return 0;
		}
	}
	error = make_pending(task ? &task->signals.pending : &process->pending, info);
	if (taker)
		notify(taker);
	return error;
}

void signal_retarget(struct process *process, const struct task *except)
{
	struct task *task;

	if (!process->pending.set)
		return;
	list_for_each(task, &process->threads, sibling)
		if (task != except && process->pending.set & signals_open(task))
			notify(task);
}

void signals_drop_pending(struct sigpending *pending, u64 set)
{
	struct pending_signal *entry, *next;

	pending->set &= ~set;
	list_for_each_safe(entry, next, &pending->queue, link) {
		if (!(SIG_BIT(entry->info.signo) & set))
			continue;
		list_del(&entry->link);
		pending->queued--;
		kfree(entry);
	}
}

/* Faults' signals first, then by number. */
static int choose(u64 set)
{
	u64 first = set & (SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | SIG_BIT(SIGFPE));

	return __builtin_ctzl(first ? first : set) + 1;
}

static int take_from(struct sigpending *pending, u64 blocked, struct siginfo *info)
{
	struct pending_signal *entry, *next;
	bool found = false, more = false;
	int signal;

	if (!(pending->set & ~blocked))
		return 0;
	signal = choose(pending->set & ~blocked);
	*info = (struct siginfo){ .signo = signal };
	list_for_each_safe(entry, next, &pending->queue, link) {
		if (entry->info.signo != signal)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = true;
		*info = entry->info;
		list_del(&entry->link);
		pending->queued--;
		kfree(entry);
	}
	if (!more)
		pending->set &= ~SIG_BIT(signal);
	return signal;
}

int signal_take(u64 blocked, struct siginfo *info)
{
	int signal = take_from(&current->signals.pending, blocked, info);

	return signal ? signal : take_from(&current->process->pending, blocked, info);
}

static struct siginfo from_user(int signal, int code)
{
	return (struct siginfo){ .signo = signal, .code = code, .pid = current->process->pid, .uid = USER_ID };
}

void signal_self(int signal)
{
	struct siginfo info = from_user(signal, SI_USER);
	u64 flags = spin_lock_irq(&task_lock);

	signal_send(current->process, current, &info);
	spin_unlock_irq(&task_lock, flags);
}

void signal_kill(int signal)
{
	u64 flags = spin_lock_irq(&task_lock);

	signal_kill_process(current->process, signal);
	spin_unlock_irq(&task_lock, flags);
}

/* Signal 0 only asks whether there is somebody. With task_lock. */
static long send_if(struct process *process, struct task *task, const struct siginfo *info)
{
	return info->signo ? signal_send(process, task, info) : 0;
}

/* To all that match: everybody but the caller and the kernel's own (pgid 0), or one group. */
static long send_to_many(int pgid, const struct siginfo *info)
{
	const struct process *self = pgid ? NULL : current->process;
	u64 flags = spin_lock_irq(&task_lock);
	struct process *process;
	long result = -ESRCH;

	list_for_each(process, process_list(), all) {
		if (pgid ? process->pgid != pgid : process == self)
			continue;
		send_if(process, NULL, info);
		result = 0;
	}
	spin_unlock_irq(&task_lock, flags);
	return result;
}

void signal_group(int pgid, int signal)
{
	struct siginfo info = { .signo = signal, .code = SI_KERNEL };

	if (pgid)
		send_to_many(pgid, &info);
}

static long send_to_process(int pid, const struct siginfo *info)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct process *process = process_find(pid);
	long result = process ? send_if(process, NULL, info) : -ESRCH;

	spin_unlock_irq(&task_lock, flags);
	return result;
}

static bool valid(int signal)
{
	return signal >= 0 && signal <= SIGNALS;
}

long sys_kill(int pid, int signal)
{
	struct siginfo info = from_user(signal, SI_USER);

	if (!valid(signal))
		return -EINVAL;
	if (pid > 0)
		return send_to_process(pid, &info);
	return send_to_many(pid == -1 ? 0 : pid ? -pid : current->process->pgid, &info);
}

/* tgid 0: whatever process the thread is in. */
static long send_to_thread(int tgid, int tid, const struct siginfo *info)
{
	struct task *task;
	long result = -ESRCH;
	u64 flags;

	if (tid <= 0 || !valid(info->signo))
		return -EINVAL;
	flags = spin_lock_irq(&task_lock);
	task = task_find(tid);
	if (task && (!tgid || task->process->pid == tgid))
		result = send_if(task->process, task, info);
	spin_unlock_irq(&task_lock, flags);
	return result;
}

long sys_tkill(int tid, int signal)
{
	struct siginfo info = from_user(signal, SI_TKILL);

	return send_to_thread(0, tid, &info);
}

long sys_tgkill(int tgid, int tid, int signal)
{
	struct siginfo info = from_user(signal, SI_TKILL);

	return tgid <= 0 ? -EINVAL : send_to_thread(tgid, tid, &info);
}

/* To others only what can't be taken for the kernel's or kill's. */
static long queued_info(int pid, int signal, u64 user_info, struct siginfo *info)
{
	if (copy_from_user(info, user_info, sizeof(*info)))
		return -EFAULT;
	info->signo = signal;
	return (info->code >= 0 || info->code == SI_TKILL) && pid != current->process->pid ? -EPERM : 0;
}

long sys_rt_sigqueueinfo(int pid, int signal, u64 user_info)
{
	struct siginfo info;
	long error = queued_info(pid, signal, user_info, &info);

	if (error)
		return error;
	return valid(signal) ? send_to_process(pid, &info) : -EINVAL;
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int signal, u64 user_info)
{
	struct siginfo info;
	long error = tgid <= 0 || tid <= 0 ? -EINVAL : queued_info(tgid, signal, user_info, &info);

	return error ? error : send_to_thread(tgid, tid, &info);
}

static const struct sigaction *action_of(const struct process *process, int signal)
{
	return process->sighand && signal ? &process->sighand->action[signal - 1] : NULL;
}

bool signal_tell_end(struct process *to, int signal, int pid, int status)
{
	const struct sigaction *action = action_of(to, signal);
	struct siginfo info = {
		.signo = signal, .code = status & 0x7f ? CLD_KILLED : CLD_EXITED, .pid = pid, .uid = USER_ID,
		.value = status & 0x7f ? status & 0x7f : status >> 8 & 0xff,
	};
	bool unwanted;

	wake_all(&to->child_exit);
	if (!action)
		return false;
	unwanted = signal == SIGCHLD && (action->handler == SIG_IGN || action->flags & SA_NOCLDWAIT);
	if (action->handler != SIG_IGN || signal != SIGCHLD)
		signal_send(to, NULL, &info);
	return unwanted;
}

void signal_tell_stop(struct process *to, int code, int pid, int status)
{
	const struct sigaction *action = action_of(to, SIGCHLD);
	struct siginfo info = { .signo = SIGCHLD, .code = code, .pid = pid, .uid = USER_ID, .value = status };

	wake_all(&to->child_exit);
	if (action && action->handler != SIG_IGN && !(action->flags & SA_NOCLDSTOP))
		signal_send(to, NULL, &info);
}
