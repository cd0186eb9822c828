/*
 * wait4 and waitid: what a process may learn of its children, and of those that its threads trace. A child's end, its
 * stop and its going on are each told once; a tracee's stops and its end to its tracer, before its parent hears of the
 * end. Nothing here decides what happens to a child.
 */
#include "kernel/errno.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/signal.h"

#define WNOHANG 1u
#define WSTOPPED 2u
#define WEXITED 4u
#define WCONTINUED 8u
#define WNOWAIT 0x01000000u
#define __WNOTHREAD 0x20000000u
#define __WALL 0x40000000u
#define __WCLONE 0x80000000u
#define WAIT_OPTIONS (WNOHANG | WSTOPPED | WCONTINUED | __WNOTHREAD | __WALL | __WCLONE)
#define WAITID_OPTIONS (WAIT_OPTIONS | WEXITED | WNOWAIT)

#define STATUS_CONTINUED 0xffff
#define RUSAGE_SIZE 144

enum { P_ALL, P_PID, P_PGID };

/* What is looked for, and what was found: a status as wait4 tells it, and whether it is a tracee's. */
struct wait {
	int type, id;
	u32 options;
	int status;
	bool traced;
};

static bool matches(const struct wait *wait, int pid, const struct process *process)
{
	switch (wait->type) {
	case P_PID:
		return pid == wait->id;
	case P_PGID:
		return process && process->pgid == wait->id;
	default:
		return true;
	}
}

/* Children that don't end with SIGCHLD are asked for explicitly. */
static bool eligible(const struct wait *wait, const struct process *child)
{
	return wait->options & __WALL || child->tracee ||
	       (child->exit_signal != SIGCHLD) == !!(wait->options & __WCLONE);
}

static bool child_status(struct wait *wait, struct process *child)
{
	struct group_stop *stop = &child->stop;

	if (stop->untold && wait->options & WSTOPPED && (!child->tracee || traced_by_stranger(child))) {
		stop->untold = wait->options & WNOWAIT;
		wait->status = stop->signal << 8 | STATUS_STOPPED;
		return true;
	}
	if (stop->continued && wait->options & WCONTINUED) {
		stop->continued = wait->options & WNOWAIT;
		wait->status = STATUS_CONTINUED;
		return true;
	}
	return false;
}

/* The child's pid if there is something to tell, else 0; -ECHILD if there never will be. */
static int look_at_child(struct wait *wait, struct process *child)
{
	int pid = child->pid;

	if (!child->zombie)
		return child_status(wait, child) ? pid : 0;
	if (traced_by_stranger(child))
		return 0;
	if (!(wait->options & WEXITED))
		return -ECHILD;
	wait->status = child->exit_status;
	if (!(wait->options & WNOWAIT))
		process_forget(child);
	return pid;
}

static int look_at_tracee(struct wait *wait, struct tracee *tracee)
{
	bool zombie = tracee->process && tracee->process->zombie, ended = !tracee->task;
	int tid = tracee->tid;

	if (ended ? tracee->process && !zombie : !tracee->stopped || !tracee->status)
		return 0;
	if (ended && (!(wait->options & WEXITED) || (zombie && !traced_by_stranger(tracee->process))))
		return 0; /* the latter is told as a child */
	wait->status = zombie ? tracee->process->exit_status : tracee->status;
	wait->traced = !ended;
	if (wait->options & WNOWAIT)
		return tid;
	if (ended)
		untrace(tracee, 0);
	else
		tracee->status = 0;
	return tid;
}

static long look_at_tracees(struct process *process, struct wait *wait)
{
	struct tracee *tracee, *next;
	long result = -ECHILD;
	struct task *task;
	int tid;

	list_for_each(task, &process->threads, sibling)
		list_for_each_safe(tracee, next, &task->tracees, link) {
			if (!matches(wait, tracee->tid, tracee->task ? tracee->task->process : tracee->process))
				continue;
			tid = look_at_tracee(wait, tracee);
			if (tid)
				return tid;
			result = 0;
		}
	return result;
}

/* The pid of one there is something to tell of, 0 if there is none now, -ECHILD if there never will be. With task_lock. */
static long look(struct process *process, struct wait *wait)
{
	struct process *child, *next;
	long result = look_at_tracees(process, wait);

	if (result > 0)
		return result;
	list_for_each_safe(child, next, &process->children, sibling) {
		int pid;

		if (!matches(wait, child->pid, child) || !eligible(wait, child))
			continue;
		pid = look_at_child(wait, child);
		if (pid > 0)
			return pid;
		if (!pid)
			result = 0;
	}
	return result;
}

long process_reap(struct process *parent, int *status)
{
	struct wait wait = { .options = WEXITED | __WALL };
	long pid = look(parent, &wait);

	*status = wait.status;
	return pid;
}

bool process_has_zombie(struct process *parent)
{
	struct wait wait = { .options = WEXITED | WNOWAIT | __WALL };
	u64 flags = spin_lock_irq(&task_lock);
	bool found = look(parent, &wait);

	spin_unlock_irq(&task_lock, flags);
	return found;
}

static long wait_for(struct wait *wait)
{
	struct process *process = current->process;
	long result;

	for (;;) {
		struct waiter waiter = { .task = NULL };
		u64 flags;

		wait_prepare(&process->child_exit, &waiter);
		flags = spin_lock_irq(&task_lock);
		result = look(process, wait);
		spin_unlock_irq(&task_lock, flags);
		if (!result && !(wait->options & WNOHANG) && !signal_waiting())
			schedule();
		wait_finish(&process->child_exit, &waiter);
		if (result || wait->options & WNOHANG)
			return result;
		if (signal_waiting())
			return -ERESTARTSYS;
	}
}

long sys_wait4(int pid, u64 user_status, u32 options, u64 user_rusage)
{
	struct wait wait = { .options = options | WEXITED, .id = pid };
	long result;

	if (options & ~WAIT_OPTIONS)
		return -EINVAL;
	if (pid == -2147483647 - 1)
		return -ESRCH;
	if (pid != -1) {
		wait.type = pid > 0 ? P_PID : P_PGID;
		wait.id = pid > 0 ? pid : pid ? -pid : current->process->pgid;
	}
	result = wait_for(&wait);
	if (result > 0 && user_status && copy_to_user(user_status, &wait.status, sizeof(wait.status)))
		return -EFAULT;
	if (result > 0 && user_rusage && clear_user(user_rusage, RUSAGE_SIZE))
		return -EFAULT;
	return result;
}

/* As waitid tells a status. */
static void describe(struct siginfo *info, const struct wait *wait, int pid)
{
	int status = wait->status;

	*info = (struct siginfo){ .signo = SIGCHLD, .pid = pid, .uid = USER_ID };
	if (status == STATUS_CONTINUED) {
		info->code = CLD_CONTINUED;
		info->value = SIGCONT;
	} else if ((status & 0xff) == STATUS_STOPPED) {
		info->code = wait->traced ? CLD_TRAPPED : CLD_STOPPED;
		info->value = status >> 8;
	} else {
		info->code = status & 0x7f ? CLD_KILLED : CLD_EXITED;
		info->value = status & 0x7f ? status & 0x7f : status >> 8;
	}
}

/* Without a child to tell of, *info is all zeros. Only the 28 bytes that Linux writes are written. */
long sys_waitid(int type, int id, u64 user_info, u32 options, u64 user_rusage)
{
	struct wait wait = { .type = type, .id = id, .options = options };
	struct siginfo info = { .signo = 0 };
	long result;

	if (options & ~WAITID_OPTIONS || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if (type < P_ALL || type > P_PGID || (type == P_PID && id <= 0) || (type == P_PGID && id < 0))
		return -EINVAL;
	if (type == P_PGID && !id)
		wait.id = current->process->pgid;
	result = wait_for(&wait);
	if (result < 0)
		return result;
	if (result)
		describe(&info, &wait, (int)result);
	if (result && user_rusage && clear_user(user_rusage, RUSAGE_SIZE))
		return -EFAULT;
	return user_info ? copy_to_user(user_info, &info, offsetof(struct siginfo, value) + sizeof(int)) : 0;
}
