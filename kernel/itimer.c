/*
 * Timers that send signals: ITIMER_REAL with alarm, and those of timer_create. They belong to the process; fork inherits
 * none, exec keeps ITIMER_REAL alone. Precision is the tick's. A timer that expires while its last signal has not been
 * taken yet sends no second one but counts. Clocks of CPU time are not here: EINVAL.
 */
#include "kernel/errno.h"
#include "kernel/itimer.h"
#include "kernel/memory.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"

#define ITIMER_REAL 0
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define TIMER_ABSTIME 1
#define MAX_TIMERS 32
#define USEC_PER_SEC 1000000
#define NSEC_PER_USEC 1000u
#define OVERRUN_MAX 0x7fffffffu

enum { SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 4 };

/* Linux's structures; those with microseconds have the same layout. */
struct itimerspec {
	struct timespec interval, value;
};

struct sigevent {
	u64 value;
	int signo, notify, tid, rest[11];
};
_Static_assert(sizeof(struct sigevent) == 64, "Linux's layout");

/* The entry of this timer's signal that waits to be taken, or NULL. With task_lock. */
static struct pending_signal *find_pending(struct sigpending *pending, const struct itimer *it)
{
	struct pending_signal *entry;

	if (pending->set & SIG_BIT(it->info.signo))
		list_for_each(entry, &pending->queue, link)
			if (entry->info.signo == it->info.signo && entry->info.code == it->info.code &&
			    entry->info.pid == it->info.pid)
				return entry;
	return NULL;
}

static void send(struct itimer *it, u64 expirations)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct task *task = it->tid ? task_find(it->tid) : NULL;
	struct pending_signal *entry;

	if (!it->tid || (task && task->process == it->process)) {
		entry = find_pending(task ? &task->signals.pending : &it->process->pending, it);
		it->overrun = (int)MIN((entry ? (u64)it->overrun + 1 : 0) + expirations - 1, OVERRUN_MAX);
		it->info.uid = it->info.code == SI_TIMER ? (u32)it->overrun : 0;
		if (entry)
			entry->info.uid = it->info.uid;
		else
			signal_send(it->process, task, &it->info);
	}
	spin_unlock_irq(&task_lock, flags);
}

/* Interrupts off. */
static u64 expire(struct timer *timer, u64 now)
{
	struct itimer *it = (struct itimer *)timer; /* its first member */
	u64 expirations = it->interval ? (now - timer->when) / it->interval + 1 : 1;

	if (!it->silent)
		send(it, expirations);
	return it->interval ? timer->when + expirations * it->interval : 0;
}

static void init(struct itimer *it, struct process *process)
{
	*it = (struct itimer){ .process = process, .timer.fn = expire };
	list_init(&it->timer.link);
	list_init(&it->link);
}

void itimers_init(struct process *process)
{
	struct itimers *timers = &process->itimers;

	mutex_init(&timers->lock);
	list_init(&timers->made);
	init(&timers->real, process);
	timers->real.info = (struct siginfo){ .signo = SIGALRM, .code = SI_KERNEL };
}

/* With the lock, or alone. */
static void destroy(struct itimers *timers, struct itimer *it)
{
	timer_cancel(&it->timer);
	list_del(&it->link);
	timers->count--;
	kfree(it);
}

void itimers_exec(struct process *process)
{
	struct itimer *it, *next;

	list_for_each_safe(it, next, &process->itimers.made, link)
		destroy(&process->itimers, it);
}

void itimers_exit(struct process *process)
{
	itimers_exec(process);
	timer_cancel(&process->itimers.real.timer);
}

/* Nanoseconds until it expires, at least 1; 0: it is not armed. */
static u64 remaining(const struct itimer *it)
{
	u64 now = clock_ns();

	if (timer_expired(&it->timer))
		return 0;
	return it->timer.when > now ? it->timer.when - now : 1;
}

/* first: nanoseconds from now, or 0 to disarm it. */
static void arm(struct itimer *it, u64 first, u64 interval)
{
	timer_cancel(&it->timer);
	it->interval = interval;
	it->overrun = 0;
	if (first)
		timer_add(&it->timer, clock_ns() + first, NULL);
}

static struct timespec parts(u64 ns, u64 unit)
{
	return (struct timespec){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / unit) };
}

static long set_real(const struct itimerspec *new, struct itimerspec *old)
{
	struct itimers *timers = &current->process->itimers;
	struct itimer *it = &timers->real;

	mutex_lock(&timers->lock);
	*old = (struct itimerspec){ parts(it->interval, NSEC_PER_USEC), parts(remaining(it), NSEC_PER_USEC) };
	if (new)
		arm(it, timespec_ns(&new->value), timespec_ns(&new->interval));
	mutex_unlock(&timers->lock);
	return 0;
}

long sys_getitimer(int which, u64 user_value)
{
	struct itimerspec old;

	if (which != ITIMER_REAL)
		return -EINVAL;
	set_real(NULL, &old);
	return copy_to_user(user_value, &old, sizeof(old));
}

/* From microseconds. */
static bool scale(struct timespec *ts)
{
	bool valid = ts->sec >= 0 && (u64)ts->nsec < USEC_PER_SEC;

	ts->nsec *= NSEC_PER_USEC;
	return valid;
}

/* As on Linux, no new value means one of zeroes. */
long sys_setitimer(int which, u64 user_value, u64 user_old)
{
	struct itimerspec old, new = { .interval = { 0, 0 } };

	if (user_value && copy_from_user(&new, user_value, sizeof(new)))
		return -EFAULT;
	if (which != ITIMER_REAL || !scale(&new.interval) || !scale(&new.value))
		return -EINVAL;
	set_real(&new, &old);
	return user_old ? copy_to_user(user_old, &old, sizeof(old)) : 0;
}

/* The seconds that were left, rounded, but never 0 if there was something. */
long sys_alarm(u32 seconds)
{
	struct itimerspec old, new = { .value = { seconds, 0 } };

	set_real(&new, &old);
	if (old.value.nsec >= USEC_PER_SEC / 2 || (!old.value.sec && old.value.nsec))
		old.value.sec++;
	return old.value.sec;
}

/* With the lock. */
static struct itimer *find(struct itimers *timers, int id)
{
	struct itimer *it;

	list_for_each(it, &timers->made, link)
		if (it->id == id)
			return it;
	return NULL;
}

static bool own_thread(int tid)
{
	u64 flags = spin_lock_irq(&task_lock);
	struct task *task = task_find(tid);
	bool own = task && task->process == current->process;

	spin_unlock_irq(&task_lock, flags);
	return own;
}

static bool valid_event(const struct sigevent *event)
{
	if (event->notify == SIGEV_NONE)
		return true;
	if (event->signo < 1 || event->signo > SIGNALS)
		return false;
	if (event->notify == SIGEV_THREAD_ID)
		return own_thread(event->tid);
	return event->notify == SIGEV_SIGNAL || event->notify == SIGEV_THREAD;
}

/* The lowest free id. With the lock. */
static long enter(struct itimers *timers, struct itimer *it)
{
	if (timers->count == MAX_TIMERS)
		return -EAGAIN;
	while (find(timers, it->id))
		it->id++;
	list_add_before(&it->link, &timers->made);
	timers->count++;
	return it->id;
}

long sys_timer_create(int clock, u64 user_event, u64 user_id)
{
	struct itimers *timers = &current->process->itimers;
	struct sigevent event = { .signo = SIGALRM };
	struct itimer *it;
	long id;

	if (user_event && copy_from_user(&event, user_event, sizeof(event)))
		return -EFAULT;
	if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME) || !valid_event(&event))
		return -EINVAL;
	it = kmalloc(sizeof(*it));
	if (!it)
		return -EAGAIN;
	init(it, current->process);
	it->clock = clock;
	it->silent = event.notify == SIGEV_NONE;
	it->tid = event.notify == SIGEV_THREAD_ID ? event.tid : 0;
	mutex_lock(&timers->lock);
	id = enter(timers, it);
	if (id < 0) {
		kfree(it);
	} else {
		it->info = (struct siginfo){ .signo = event.signo, .code = SI_TIMER, .pid = it->id,
					     .value = user_event ? (s64)event.value : id };
		if (copy_to_user(user_id, &it->id, sizeof(it->id))) {
			destroy(timers, it);
			id = -EFAULT;
		}
	}
	mutex_unlock(&timers->lock);
	return MIN(id, 0);
}

static bool valid_time(const struct timespec *ts)
{
	return ts->sec >= 0 && (u64)ts->nsec < NSEC_PER_SEC;
}

/* Nanoseconds from now to what settime was given; at least 1 if that is not 0. */
static u64 until(const struct itimer *it, const struct timespec *value, int flags)
{
	u64 ns = timespec_ns(value), now = clock_ns() + (it->clock == CLOCK_REALTIME ? realtime_offset() : 0);

	if (!ns || !(flags & TIMER_ABSTIME))
		return ns;
	return ns > now ? ns - now : 1;
}

/* new NULL: only looks. */
static long set_made(int id, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	struct itimers *timers = &current->process->itimers;
	struct itimer *it;

	mutex_lock(&timers->lock);
	it = find(timers, id);
	if (it) {
		*old = (struct itimerspec){ parts(it->interval, 1), parts(remaining(it), 1) };
		if (new)
			arm(it, until(it, &new->value, flags), timespec_ns(&new->interval));
	}
	mutex_unlock(&timers->lock);
	return it ? 0 : -EINVAL;
}

long sys_timer_settime(int id, int flags, u64 user_value, u64 user_old)
{
	struct itimerspec old, new;
	long error;

	if (!user_value)
		return -EINVAL;
	if (copy_from_user(&new, user_value, sizeof(new)))
		return -EFAULT;
	if (!valid_time(&new.interval) || !valid_time(&new.value))
		return -EINVAL;
	error = set_made(id, flags, &new, &old);
	if (!error && user_old)
		error = copy_to_user(user_old, &old, sizeof(old));
	return error;
}

long sys_timer_gettime(int id, u64 user_value)
{
	struct itimerspec old;
	long error = set_made(id, 0, NULL, &old);

	return error ? error : copy_to_user(user_value, &old, sizeof(old));
}

static long with_timer(int id, long (*fn)(struct itimers *timers, struct itimer *it))
{
	struct itimers *timers = &current->process->itimers;
	struct itimer *it;
	long result;

	mutex_lock(&timers->lock);
	it = find(timers, id);
	result = it ? fn(timers, it) : -EINVAL;
	mutex_unlock(&timers->lock);
	return result;
}

static long overrun(struct itimers *timers, struct itimer *it)
{
	(void)timers;
	return it->overrun;
}

static long delete(struct itimers *timers, struct itimer *it)
{
	destroy(timers, it);
	return 0;
}

long sys_timer_getoverrun(int id)
{
	return with_timer(id, overrun);
}

long sys_timer_delete(int id)
{
	return with_timer(id, delete);
}
