/*
 * Synchronous IPC between tasks: a call blocks until the reply, a server replies and waits for the next call
 * in one system call. The message is five registers (RSI RDX R10 R8 R9), copied from one task's saved
 * registers to the other's; the CPU goes straight from caller to server and back, past the run queue.
 *
 * task_lock covers all of it, for the partner is looked up by tid under it. A task's phase says where it is:
 * a caller is CALLING (in the server's list) until the server takes its message, then AWAITING the reply of its
 * partner; a server without a caller is WAITING; DONE means that the answer, ipc.result, has come.
 */
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/ipc.h"
#include "kernel/syscall.h"
#include "sched/process.h"
#include "sched/sched.h"

enum ipc_phase { IPC_NONE, IPC_CALLING, IPC_AWAITING, IPC_WAITING, IPC_DONE };

static void ipc_lock(void)
{
	irq_disable();
	spin_acquire(&task_lock);
}

static void ipc_unlock(void)
{
	spin_release(&task_lock);
}

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

/* The server has the caller's message and owes it a reply. */
static void take_call(struct task *server, struct task *caller)
{
	copy_message(caller, server);
	server->ipc.result = caller->tid;
	caller->ipc.partner = server;
	caller->ipc.phase = IPC_AWAITING;
}

/* The task's wait is over. */
static void finish(struct task *task, long result)
{
	task->ipc.phase = IPC_DONE;
	task->ipc.result = result;
}

/*
 * A task that is killed or has a signal stops waiting: nobody may find it in a list or answer it afterwards. A call
 * that the server has not seen can be made again; one that it has would be made twice.
 */
static void give_up(struct task *task)
{
	ipc_lock();
	if (task->ipc.phase != IPC_DONE) {
		list_del(&task->ipc.link);
		finish(task, task->ipc.phase == IPC_CALLING ? -ERESTARTSYS : -EINTR);
	}
	ipc_unlock();
	irq_enable();
}

static __attribute__((noinline)) void wait_slowly(void)
{
	struct task *task = current;

	while (task->ipc.phase != IPC_DONE) {
		task_will_sleep();
		if (signal_waiting())
			give_up(task);
		else if (task->ipc.phase != IPC_DONE)
			schedule();
	}
	task->state = TASK_RUNNING;
}

/*
 * The task sleeps until its answer is there. Called with the lock, which is let go; next, if any, gets the CPU at
 * once (schedule_to lets the lock go when next can't run, and perhaps end, elsewhere any more).
 */
static inline long wait_for_answer(struct task *task, struct task *next)
{
	long result;

	task->state = TASK_SLEEPING;
	if (likely(next != NULL))
		schedule_to(next, &task_lock);
	else
		ipc_unlock();
	task = current; /* the same: cheaper than keeping it in a register that the switch has to save */
	if (unlikely(task->ipc.phase != IPC_DONE))
		wait_slowly();
	result = task->ipc.result;
	task->ipc.phase = IPC_NONE;
	irq_enable();
	return result;
}

static long fail(long error)
{
	ipc_unlock();
	irq_enable();
	return error;
}

/* The server is not waiting: it will find us in its list, if it ever waits again. */
static __attribute__((noinline)) long call_busy(struct task *task, struct task *server)
{
	if (server->ipc.ended)
		return fail(-ESRCH);
	if (server == task)
		return fail(-EDEADLK);
	task->ipc.phase = IPC_CALLING;
	list_add_before(&task->ipc.link, &server->ipc.callers);
	return wait_for_answer(task, NULL);
}

long sys_ipc_call(int tid)
{
	struct task *task = current, *server;

	ipc_lock();
	server = task_find(tid);
	if (unlikely(!server))
		return fail(-ESRCH);
	if (unlikely(server->ipc.phase != IPC_WAITING))
		return call_busy(task, server);
	take_call(server, task);
	server->ipc.phase = IPC_DONE;
	return wait_for_answer(task, server);
}

/* Somebody has called already: take that message, and let the answered caller run when its turn comes. */
static __attribute__((noinline)) long take_next(struct task *task, struct task *answered)
{
	struct task *caller = list_first(&task->ipc.callers, struct task, ipc.link);

	list_del(&caller->ipc.link);
	take_call(task, caller);
	if (answered)
		task_wake(answered);
	ipc_unlock();
	irq_enable();
	return task->ipc.result;
}

long sys_ipc_reply_wait(int tid)
{
	struct task *task = current, *caller = NULL;

	ipc_lock();
	task->ipc.served = true;
	if (tid) {
		caller = task_find(tid);
		if (!caller || caller->ipc.phase != IPC_AWAITING || caller->ipc.partner != task)
			return fail(-ESRCH);
		copy_message(task, caller);
		finish(caller, 0);
	}
	if (unlikely(!list_empty(&task->ipc.callers)))
		return take_next(task, caller);
	task->ipc.phase = IPC_WAITING;
	return wait_for_answer(task, caller);
}

/* With task_lock: the reply that the caller awaits will not come. */
static void fail_debt(struct task *caller, void *server)
{
	if (caller->ipc.phase != IPC_AWAITING || caller->ipc.partner != server)
		return;
	finish(caller, -ESRCH);
	task_wake(caller);
}

void ipc_exit(struct task *task)
{
	struct task *caller, *next;

	ipc_lock();
	task->ipc.ended = true;
	if (task->ipc.served)
		tasks_for_each(fail_debt, task);
	list_for_each_safe(caller, next, &task->ipc.callers, ipc.link) {
		list_del(&caller->ipc.link);
		finish(caller, -ESRCH);
		task_wake(caller);
	}
	ipc_unlock();
	irq_enable();
}
