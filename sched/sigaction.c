/*
 * What a program says about its signals: handlers, mask, alternate stack; what of it fork and exec pass on; and the
 * calls that wait for signals.
 */
#include "kernel/errno.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/uaccess.h"
#include "kernel/xcomp.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/signal.h"

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define MINSIGSTKSZ 2048
#define SA_KNOWN                                                                                   \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND)

void signals_init_task(struct task *task)
{
	list_init(&task->signals.pending.queue);
	task->signals.stack.flags = SS_DISABLE;
}

static struct sighand *sighand_create(void)
{
	struct sighand *sighand = kzalloc(sizeof(*sighand));

	if (sighand)
		sighand->users = 1;
	return sighand;
}

void sighand_put(struct sighand *sighand)
{
	if (sighand && !__atomic_sub_fetch(&sighand->users, 1, __ATOMIC_ACQ_REL))
		kfree(sighand);
}

static bool fork_sighand(struct process *child, bool share)
{
	struct sighand *old = current->process ? current->process->sighand : NULL, *new;
	u64 flags;

	if (old && share) {
		__atomic_fetch_add(&old->users, 1, __ATOMIC_RELAXED);
		child->sighand = old;
		return true;
	}
	new = sighand_create();
	if (!new)
		return false;
	flags = spin_lock_irq(&task_lock);
	if (old)
		memcpy(new->action, old->action, sizeof(new->action));
	child->sighand = new;
	spin_unlock_irq(&task_lock, flags);
	return true;
}

/* Mask and alternate stack are inherited, pending signals are not. */
void signals_fork_task(struct task *child, u64 clone_flags)
{
	struct task *task = current;

	child->signals.mask = task->signals.mask;
	if (!(clone_flags & CLONE_VM) || clone_flags & CLONE_VFORK)
		child->signals.stack = task->signals.stack;
}

bool signals_fork_process(struct process *child, u64 clone_flags)
{
	child->exit_signal = (int)(clone_flags & CLONE_SIGNAL_MASK);
	if (child->exit_signal > SIGNALS)
		child->exit_signal = 0;
	return fork_sighand(child, clone_flags & CLONE_SIGHAND);
}

/* Handlers of another process that shares them stay as they are: exec has its own. */
bool signals_exec_prepare(struct sighand **spare)
{
	*spare = sighand_create();
	return *spare;
}

void signals_exec(struct sighand *spare)
{
	struct task *task = current;
	struct sighand *old = task->process->sighand;
	u64 flags = spin_lock_irq(&task_lock);

	for (u32 i = 0; old && i < SIGNALS; i++)
		if (old->action[i].handler == SIG_IGN)
			spare->action[i].handler = SIG_IGN;
	task->process->sighand = spare;
	spin_unlock_irq(&task_lock, flags);
	task->signals.stack = (struct sigaltstack){ .flags = SS_DISABLE };
	task->signals.restart.fn = NULL;
	sighand_put(old);
}

static void set_action(int signal, const struct sigaction *action)
{
	struct process *process = current->process;
	struct task *task;

	process->sighand->action[signal - 1] = *action;
	if (action->handler != SIG_IGN && (action->handler != SIG_DFL || signal_deadly(signal)))
		return;
	signals_drop_pending(&process->pending, SIG_BIT(signal));
	list_for_each(task, &process->threads, sibling)
		signals_drop_pending(&task->signals.pending, SIG_BIT(signal));
}

long sys_rt_sigaction(int signal, u64 user_action, u64 user_old, size_t size)
{
	struct sigaction action, old;
	u64 flags;

	if (size != sizeof(u64))
		return -EINVAL;
	if (user_action && copy_from_user(&action, user_action, sizeof(action)))
		return -EFAULT;
	if (signal < 1 || signal > SIGNALS || (user_action && SIG_BIT(signal) & SIG_UNBLOCKABLE))
		return -EINVAL;
	action.flags &= SA_KNOWN;
	action.mask &= ~SIG_UNBLOCKABLE;
	flags = spin_lock_irq(&task_lock);
	old = current->process->sighand->action[signal - 1];
	if (user_action)
		set_action(signal, &action);
	spin_unlock_irq(&task_lock, flags);
	return user_old ? copy_to_user(user_old, &old, sizeof(old)) : 0;
}

long sys_rt_sigprocmask(int how, u64 user_set, u64 user_old, size_t size)
{
	u64 old = current->signals.mask, set;

	if (size != sizeof(set))
		return -EINVAL;
	if (user_set) {
		if (copy_from_user(&set, user_set, sizeof(set)))
			return -EFAULT;
		if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
			return -EINVAL;
		signal_set_mask(how == SIG_BLOCK ? old | set : how == SIG_UNBLOCK ? old & ~set : set);
	}
	return user_old ? copy_to_user(user_old, &old, sizeof(old)) : 0;
}

long sys_rt_sigpending(u64 user_set, size_t size)
{
	struct task *task = current;
	u64 flags, set;

	if (size > sizeof(set))
		return -EINVAL;
	flags = spin_lock_irq(&task_lock);
	set = (task->signals.pending.set | task->process->pending.set) & task->signals.mask;
	spin_unlock_irq(&task_lock, flags);
	return copy_to_user(user_set, &set, size);
}

/* Until a signal is there to be taken. */
static long sleep_for_signal(void)
{
	for (;;) {
		task_will_sleep();
		if (signal_waiting())
			break;
		schedule();
	}
	current->state = TASK_RUNNING;
	return -ERESTARTNOHAND;
}

long sys_pause(void)
{
	return sleep_for_signal();
}

/* The old mask comes back with the handler's return; or, with no handler run, on the way to user mode. */
long sys_rt_sigsuspend(u64 user_set, size_t size)
{
	struct task_signals *signals = &current->signals;
	u64 set;

	if (size != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user_set, sizeof(set)))
		return -EFAULT;
	signals->saved_mask = signals->mask;
	signal_set_mask(set);
	sleep_for_signal();
	signals->restore_mask = true;
	return -ERESTARTNOHAND;
}

static int take_wanted(u64 wanted, struct siginfo *info)
{
	u64 flags = spin_lock_irq(&task_lock);
	int signal = signal_take(~wanted, info);

	signal_recalculate();
	spin_unlock_irq(&task_lock, flags);
	return signal;
}

static void set_wanted(u64 wanted)
{
	u64 flags = spin_lock_irq(&task_lock);

	current->signals.wanted = wanted;
	signal_recalculate();
	spin_unlock_irq(&task_lock, flags);
}

static int wait_wanted(u64 wanted, const u64 *until, struct siginfo *info)
{
	int signal;

	set_wanted(wanted);
	for (;;) {
		signal = take_wanted(wanted, info);
		if (signal || signal_waiting())
			break;
		if (until ? sleep_until(*until) == 0 : sleep_for_signal() == 0) {
			signal = take_wanted(wanted, info);
			break;
		}
	}
	set_wanted(0);
	return signal;
}

long sys_rt_sigtimedwait(u64 user_set, u64 user_info, u64 timeout, size_t size)
{
	struct siginfo info = { .signo = 0 };
	struct timespec ts;
	u64 wanted, until = 0;
	int signal;

	if (size != sizeof(wanted))
		return -EINVAL;
	if (copy_from_user(&wanted, user_set, sizeof(wanted)) || (timeout && copy_from_user(&ts, timeout, sizeof(ts))))
		return -EFAULT;
	if (timeout && (ts.sec < 0 || (u64)ts.nsec >= NSEC_PER_SEC))
		return -EINVAL;
	wanted &= ~SIG_UNBLOCKABLE;
	if (timeout)
		until = clock_ns() + timespec_ns(&ts);
	signal = take_wanted(wanted, &info);
	if (!signal && (!timeout || until > clock_ns()))
		signal = wait_wanted(wanted, timeout ? &until : NULL, &info);
	if (!signal)
		return timeout && clock_ns() >= until ? -EAGAIN : -EINTR;
	if (user_info && (clear_user(user_info, SIGINFO_SIZE) || copy_to_user(user_info, &info, sizeof(info))))
		return -EFAULT;
	return signal;
}

bool sigstack_active(u64 sp)
{
	const struct sigaltstack *stack = &current->signals.stack;

	return !(stack->flags & SS_AUTODISARM) && sp > stack->sp && sp - stack->sp <= stack->size;
}

long sigstack_set(const struct sigaltstack *new, u64 sp)
{
	struct sigaltstack *stack = &current->signals.stack;
	u32 mode = new->flags & ~SS_AUTODISARM;

	if (sigstack_active(sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		*stack = (struct sigaltstack){ .flags = new->flags };
		return 0;
	}
	if (new->size < MINSIGSTKSZ)
		return -ENOMEM;
	return xcomp_set_stack(stack, &(struct sigaltstack){ .sp = new->sp, .flags = new->flags, .size = new->size });
}

long sys_sigaltstack(u64 user_stack, u64 user_old)
{
	struct sigaltstack old = current->signals.stack, new;
	u64 sp = task_regs(current)->rsp;
	long error;

	if (user_stack && copy_from_user(&new, user_stack, sizeof(new)))
		return -EFAULT;
	old.flags = (old.flags & SS_AUTODISARM) |
		    (!old.size ? SS_DISABLE : sigstack_active(sp) ? SS_ONSTACK : 0);
	error = user_stack ? sigstack_set(&new, sp) : 0;
	if (error)
		return error;
	return user_old ? copy_to_user(user_old, &old, sizeof(old)) : 0;
}
