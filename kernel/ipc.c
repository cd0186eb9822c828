/*
 * Synchronous IPC between tasks: a call blocks until the reply, a server replies and waits for the next call
 * in one system call. The message is five registers (RSI RDX R10 R8 R9), copied from one task's saved
 * registers to the other's; the CPU goes straight from caller to server and back, past the run queue.
 *
 * A caller is in the server's list of callers from its call until the server has taken the message, then the
 * server's debtor until the reply. ipc_lock covers all of it.
 */
#include "kernel/errno.h"
#include "kernel/ipc.h"
#include "kernel/insn.h"
#include "kernel/syscall.h"
#include "sched/process.h"
#include "sched/sched.h"

enum ipc_phase {
	IPC_NONE,
	IPC_CALLING,  /* waits for partner to take the message; in its callers */
	IPC_AWAITING, /* partner has the message and owes the reply; in its debts */
	IPC_WAITING,  /* a server without a caller */
	IPC_DONE,     /* the answer (message or error in ipc.result) has come */
};

static struct spinlock ipc_lock;

static void copy_message(const struct task *from, const struct task *to)
{
	const struct regs *src = task_regs(from);
	struct regs *dst = task_regs(to);

	dst->rsi = src->rsi;
	dst->rdx = src->rdx;
	dst->r10 = src->r10;
	dst->r8 = src->r8;
	dst->r9 = src->r9;
}

/* The message moves to the server, which owes the reply from now on. */
static void take_call(struct task *server, struct task *caller)
{
	copy_message(caller, server);
	server->ipc.result = caller->tid;
	list_del(&caller->ipc.link);
	list_add_before(&caller->ipc.link, &server->ipc.debts);
	caller->ipc.phase = IPC_AWAITING;
}

/* With ipc_lock: the caller's wait is over. */
static void finish_call(struct task *caller, long result)
{
	list_del(&caller->ipc.link);
	caller->ipc.phase = IPC_DONE;
	caller->ipc.result = result;
}

/*
 * Sleeps until the phase is IPC_DONE, first giving the CPU to next if there is one. Called with ipc_lock held
 * and interrupts off (flags are those of before); returns without. -EINTR if killed.
 */
static long sleep_until_done(struct task *next, u64 flags)
{
	struct task *task = current;

	task->state = TASK_SLEEPING;
	spin_release(&ipc_lock);
	preempt_enable_no_resched();
	if (next)
		schedule_to(next);
	while (task->ipc.phase != IPC_DONE) {
		if (task_killed()) {
			irq_restore(flags);
			flags = spin_lock_irq(&ipc_lock);
			if (task->ipc.phase != IPC_DONE) {
				list_del(&task->ipc.link);
				task->ipc.result = -EINTR;
			}
			spin_unlock_irq(&ipc_lock, flags);
			break;
		}
		task->state = TASK_SLEEPING;
		if (task->ipc.phase != IPC_DONE)
			schedule();
	}
	task->state = TASK_RUNNING;
	task->ipc.phase = IPC_NONE;
	irq_restore(flags);
	return task->ipc.result;
}

/* The task with that tid, or NULL. It can't go away while ipc_lock is held: see ipc_exit. */
static struct task *find_partner(int tid)
{
	struct task *task;

	spin_lock(&task_lock);
	task = task_find(tid);
	if (task && task->ipc.ended)
		task = NULL;
	spin_unlock(&task_lock);
	return task;
}

long sys_ipc_call(int tid)
{
	struct task *task = current, *server;
	struct task *direct = NULL;
	u64 flags;

	if (tid == task->tid)
		return -EDEADLK;
	flags = spin_lock_irq(&ipc_lock);
	server = find_partner(tid);
	if (!server) {
		spin_unlock_irq(&ipc_lock, flags);
		return -ESRCH;
	}
	task->ipc.phase = IPC_CALLING;
	list_add_before(&task->ipc.link, &server->ipc.callers);
	if (server->ipc.phase == IPC_WAITING) {
		take_call(server, task);
		server->ipc.phase = IPC_DONE;
		direct = server;
	}
	return sleep_until_done(direct, flags);
}

/* The debtor with that tid that waits for our reply, or NULL. */
static struct task *find_debt(struct task *server, int tid)
{
	struct task *caller;

	list_for_each(caller, &server->ipc.debts, ipc.link)
		if (caller->tid == tid)
			return caller;
	return NULL;
}

long sys_ipc_reply_wait(int tid)
{
	struct task *task = current, *caller = NULL;
	u64 flags = spin_lock_irq(&ipc_lock);

	if (tid) {
		caller = find_debt(task, tid);
		if (!caller) {
			spin_unlock_irq(&ipc_lock, flags);
			return -ESRCH;
		}
		copy_message(task, caller);
		finish_call(caller, 0);
	}
	if (!list_empty(&task->ipc.callers)) {
		take_call(task, list_first(&task->ipc.callers, struct task, ipc.link));
		spin_unlock_irq(&ipc_lock, flags);
		if (caller)
			task_wake(caller);
		return task->ipc.result;
	}
	task->ipc.phase = IPC_WAITING;
	return sleep_until_done(caller, flags);
}

static void fail_all(struct list *callers)
{
	struct task *caller, *next;

	list_for_each_safe(caller, next, callers, ipc.link) {
		finish_call(caller, -ESRCH);
		task_wake(caller);
	}
}

void ipc_exit(struct task *task)
{
	u64 flags = spin_lock_irq(&ipc_lock);

	task->ipc.ended = true;
	fail_all(&task->ipc.callers);
	fail_all(&task->ipc.debts);
	spin_unlock_irq(&ipc_lock, flags);
}
