/*
 * The update call: one component of a task's extended state gets a value, by the way of fpu/update.h and no other. The
 * caller itself, and a task that sleeps, are changed at once. One that runs, or may at any time, is never touched: the
 * value is queued with the task, one for each component, and the task takes it on its way to user mode (museum entry
 * 11). A component that the kernel owns may be set only where `debug` says that programs may play the kernel.
 */
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/soft.h"
#include "fpu/trace.h"
#include "fpu/update.h"
#include "kernel/bootinfo.h"
#include "kernel/errno.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "kernel/update.h"
#include "sched/balance.h"
#include "sched/stop.h"
#include "sched/task.h"

#define USER_COMPONENTS (XFM(XF_AVX) | XFM_AVX512 | XFM(XF_PKRU))
#define KERNEL_COMPONENTS (XFM(XF_PASID) | XFM(XF_CET_U))

/* A value, and after it has been exchanged the one before. Alone, or in its task's list; that, with task_lock. */
struct queued_update {
	struct queued_update *next;
	u32 feature, size;
	u64 value[];
};

static void swap(struct queued_update *update, void *present)
{
	u8 *a = (u8 *)update->value, *b = present;

	for (u32 i = 0; i < update->size; i++) {
		u8 byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

/* -EINVAL: the task is integer-only, and has no such component. */
static long exchange(struct task *task, struct queued_update *new, bool read_only)
{
	struct fpu_update update;
	void *present = fpu_update_begin(&update, &task->fpu, new->feature);

	if (!present)
		return -EINVAL;
	if (read_only)
		memcpy(new->value, present, new->size);
	else
		swap(new, present);
	fpu_update_finish(&update);
	return 0;
}

/* --- The queue --- */

void updates_drop(struct task *task)
{
	struct queued_update *update;

	task_clear_flag(task, TASK_UPDATE);
	while ((update = task->updates)) {
		task->updates = update->next;
		kfree(update);
	}
}

static struct queued_update *take_one(struct task *task)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct queued_update *update = task->updates;

	if (update)
		task->updates = update->next;
	else
		task_clear_flag(task, TASK_UPDATE);
	spin_unlock_irq(&task_lock, flags);
	return update;
}

void updates_take(void)
{
	struct queued_update *update;

	while ((update = take_one(current))) {
		exchange(current, update, false);
		kfree(update);
	}
}

/* The last value of a component wins. Returns what is to be freed. */
static struct queued_update *queue(struct task *task, struct queued_update *new)
{
	struct queued_update **at = &task->updates, *old;
	struct fpu_cpu *cpu = fpu_this_cpu();

	while (*at && (*at)->feature != new->feature)
		at = &(*at)->next;
	old = *at;
	new->next = old ? old->next : NULL;
	*at = new;
	task_set_flag(task, TASK_UPDATE);
	cpu->counters.updates_ended[FPU_ENDED_QUEUED]++;
	if (unlikely(fpu_tracing))
		fpu_trace_update(cpu, &task->fpu.user, new->feature, FPU_FOUNDS, FPU_ENDED_QUEUED);
	return old;
}

/* --- Whose --- */

/*
 * It is off its CPU, and who has that CPU's lock keeps it there; no guest is in its place, no signal frame is under way,
 * no tracer is writing its registers just now, and nothing waits.
 */
static bool may_be_changed(const struct task *task)
{
	return task->state != TASK_RUNNING && !task->on_queue && !task->vcpu && !task->fpu.user.in_frame &&
	       !task->updates && !(task->tracee && task->tracee->frozen);
}

/* With task_lock. What the caller has to free is in *update then. */
static long change_other(struct task *task, struct queued_update **update, bool read_only)
{
	struct cpu *cpu = sched_lock_cpu_of(task);
	long result = TARRY_UPDATE_QUEUED;

	if (may_be_changed(task)) {
		result = exchange(task, *update, read_only);
	} else if (read_only) {
		result = -EBUSY;
	} else {
		*update = queue(task, *update);
		if (cpu->current_task == task)
			smp_send_reschedule(cpu->id); /* from user mode it comes by at once */
	}
	spin_release(&cpu->rq.lock);
	return result;
}

static long change(int tid, struct queued_update **update, bool read_only)
{
	struct task *task;
	long result = -ESRCH;
	u64 flags;

	if (!tid || tid == current->tid) {
		updates_take(); /* they came before */
		return exchange(current, *update, read_only);
	}
	flags = spin_lock_irq(&task_lock);
	task = task_find(tid);
	if (task)
		result = change_other(task, update, read_only);
	spin_unlock_irq(&task_lock, flags);
	return result;
}

/* --- What --- */

static long check_request(const struct tarry_update *request)
{
	u64 component = request->component < XF_COUNT ? XFM(request->component) : 0;

	if (!(component & (USER_COMPONENTS | KERNEL_COMPONENTS) & fpu_config.features) ||
	    request->size != fpu_config.layout.component[request->component].size)
		return -EINVAL;
	return component & KERNEL_COMPONENTS && !boot_flag("debug") ? -EPERM : 0;
}

/* A load must not fail because of it (I-IMG). */
static bool loadable(const struct queued_update *update)
{
	switch (update->feature) {
	case XF_PKRU:
		return update->value[0] <= UINT32_MAX;
	case XF_PASID:
		return soft_pasid.valid(NULL, update->value);
	case XF_CET_U:
		return soft_cet_u.valid(NULL, update->value);
	default:
		return true;
	}
}

static long read_value(struct queued_update *update, u64 from)
{
	if (from && copy_from_user(update->value, from, update->size))
		return -EFAULT;
	return loadable(update) ? 0 : -EINVAL;
}

long sys_tarry_update(u64 user_request)
{
	struct tarry_update request;
	struct queued_update *update;
	long result;

	if (copy_from_user(&request, user_request, sizeof(request)))
		return -EFAULT;
	result = check_request(&request);
	if (result)
		return result;
	update = kzalloc(sizeof(*update) + request.size);
	if (!update)
		return -ENOMEM;
	update->feature = request.component;
	update->size = request.size;
	result = read_value(update, request.value);
	if (!result)
		result = change(request.tid, &update, !request.value);
	if (!result && request.old)
		result = copy_to_user(request.old, update->value, request.size);
	kfree(update);
	return result;
}
