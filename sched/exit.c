/*
 * The end of threads and processes. A task gives everything back itself but its stack, its FPU
 * area and struct task, which the next task frees after the switch. The last thread turns the process into a
 * zombie that keeps nothing but its exit status.
 */
#include "fpu/fpu.h"
#include "fpu/tiles.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/futex.h"
#include "kernel/insn.h"
#include "kernel/ipc.h"
#include "kernel/mm.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "kernel/update.h"
#include "sched/exit.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/signal.h"

void task_exit_kthread(void)
{
	sched_die();
}

/* Tells whoever joins this thread (CLONE_CHILD_CLEARTID). */
static void clear_child_tid(struct task *task)
{
	int zero = 0;

	if (task->clear_child_tid && !copy_to_user(task->clear_child_tid, &zero, sizeof(zero)))
		futex_wake_address(task->clear_child_tid, 1);
}

/* With task_lock. Orphans go to the kernel's process, which collects them. */
static void reparent_children(struct process *process)
{
	struct process *child, *next;

	list_for_each_safe(child, next, &process->children, sibling) {
		child->parent = &kernel_process;
		if (child->death_signal)
			signal_send(child, NULL, &(struct siginfo){ .signo = child->death_signal, .pid = process->pid,
								    .uid = USER_ID });
		list_del(&child->sibling);
		list_add_before(&child->sibling, &kernel_process.children);
		if (child->zombie)
			wake_all(&kernel_process.child_exit);
	}
}

/*
 * Takes the task out of its process; true if it was the last one. Else the process, and with it the address space,
 * may go away any time from here on: the task must not bring it back to a CPU.
 */
static bool leave_process(struct task *task, struct process *process)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool last;

	task->mm = NULL;
	vfork_release(task);
	task_unregister(task);
	list_del(&task->sibling);
	stop_remove_thread(process, task);
	tracer_gone(task);
	tracee_gone(task);
	signals_drop_pending(&task->signals.pending, ~0ul);
	updates_drop(task);
	signal_retarget(process, task);
	last = !--process->nthreads;
	wake_all(&process->threads_gone);
	spin_unlock_irq(&task_lock, flags);
	return last;
}

/*
 * Turns the current task's process into a zombie, or into nothing if the parent does not want to know. The task is
 * nobody's then, and interrupts are off until it has left its CPU.
 */
static void become_zombie(struct process *process)
{
	struct sighand *sighand = process->sighand;
	u64 flags;

	itimers_exit(process);
	files_put(process->files);
	irq_disable();
	flags = spin_lock_irq(&task_lock);
	reparent_children(process);
	signals_drop_pending(&process->pending, ~0ul);
	current->process = NULL;
	process->sighand = NULL;
	process->zombie = true;
	if (!tracer_takes_zombie(process))
		process_tell_end(process);
	spin_unlock_irq(&task_lock, flags);
	sighand_put(sighand);
}

/* Its tracer may look at a killed task, too: it stops as if it had not been killed, and nobody can kill it twice. */
static void show_end(struct task *task, const struct process *process)
{
	if (likely(!task->tracee))
		return;
	task_clear_flag(task, TASK_KILLED);
	ptrace_asked_event(PTRACE_EVENT_EXIT, (u64)(process->killed ? process->exit_status : task->exit_status));
}

static void exit_task(void) __attribute__((noreturn));
static void exit_task(void)
{
	struct task *task = current;
	struct process *process = task->process;
	struct mm *mm = task->mm;
	bool last;

	show_end(task, process);
	robust_list_exit();
	clear_child_tid(task);
	ipc_exit(task);
	last = leave_process(task, process);
	fpu_tiles_exit(&task->fpu);
	if (!last) {
		task->process = NULL;
		sched_die();
	}
	process->mm = NULL;
	if (mm) /* the first program's process has none until its exec */
		mm_put(mm);
	become_zombie(process);
	sched_die();
}

void task_exit_killed(void)
{
	exit_task();
}

/* Decides the process's exit status, unless something else already has, and ends the other threads. */
static void end_process(int status)
{
	struct process *process = current->process;
	u64 flags = spin_lock_irq(&task_lock);

	if (!process->killed) {
		process->killed = true;
		process->exit_status = status;
		process_kill_threads(process, current);
	}
	spin_unlock_irq(&task_lock, flags);
}

long sys_exit_group(int code)
{
	end_process((code & 0xff) << 8);
	exit_task();
}

/* Ends this thread; the process's status is that of its first thread, or of the last one to go. */
long sys_exit(int code)
{
	struct process *process = current->process;
	u64 flags = spin_lock_irq(&task_lock);

	current->exit_status = (code & 0xff) << 8;
	if (!process->killed && (current->tid == process->pid || process->nthreads == 1))
		process->exit_status = current->exit_status;
	spin_unlock_irq(&task_lock, flags);
	exit_task();
}
