/*
 * Time. The clock is the TSC, measured once against the PIT; the tick is each CPU's APIC timer at TICK_HZ,
 * which ends time slices and wakes sleepers. Timers wait in one list sorted by time. Signed 64-bit division
 * must not be used here or anywhere (Bochs 3.1 computes it wrongly).
 */
#include "kernel/apic.h"
#include "kernel/entropy.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"
#include "kernel/screen.h"
#include "kernel/time.h"
#include "kernel/traps.h"
#include "sched/sched.h"
#include "sched/task.h"

#define PIT_HZ 1193182
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_GATE 0x61
#define PIT_GATE_ON 0x01
#define PIT_GATE_OUT 0x20
#define PIT_SPEAKER 0x02
#define PIT_MODE0_CHANNEL2 0xb0

#define CALIBRATION_HZ 500 /* one measurement takes 1/500 s */
#define CALIBRATION_RUNS 3

static u64 tsc_hz, ns_per_tsc_32; /* nanoseconds per TSC tick, 32 fraction bits */
static u32 apic_ticks;		  /* APIC timer counts in one tick */

static LIST_HEAD(timers);
static struct spinlock timer_lock;

u64 clock_ns(void)
{
	return (u64)((unsigned __int128)(rdtsc() - boot_tsc) * ns_per_tsc_32 >> 32);
}

/* TSC and APIC timer counts during one calibration interval of the PIT. */
static void measure(u64 *tsc, u32 *apic)
{
	u16 count = PIT_HZ / CALIBRATION_HZ;
	u64 start;

	outb(PIT_GATE, (u8)((inb(PIT_GATE) & ~PIT_SPEAKER) | PIT_GATE_ON));
	outb(PIT_COMMAND, PIT_MODE0_CHANNEL2);
	outb(PIT_CHANNEL2, (u8)count);
	apic_timer_start(0xffffffff, false, VECTOR_SPURIOUS);
	start = rdtsc();
	outb(PIT_CHANNEL2, (u8)(count >> 8));
	while (!(inb(PIT_GATE) & PIT_GATE_OUT))
		;
	*tsc = rdtsc() - start;
	*apic = 0xffffffff - apic_timer_count();
	apic_timer_start(0, false, VECTOR_SPURIOUS);
}

void time_init(void)
{
	u64 tsc, best_tsc = ~0ul;
	u32 apic, best_apic = ~0u;

	/* The shortest run is the one that nothing outside the machine interrupted. */
	for (int i = 0; i < CALIBRATION_RUNS; i++) {
		measure(&tsc, &apic);
		best_tsc = MIN(best_tsc, tsc);
		best_apic = MIN(best_apic, apic);
	}
	tsc_hz = best_tsc * CALIBRATION_HZ;
	ns_per_tsc_32 = (NSEC_PER_SEC << 32) / tsc_hz;
	apic_ticks = best_apic * CALIBRATION_HZ / TICK_HZ;
	klog("time: TSC %lu MHz, APIC timer %u counts a tick, %d ticks a second", tsc_hz / 1000000, apic_ticks, TICK_HZ);
}

void time_init_cpu(void)
{
	apic_timer_start(apic_ticks, true, VECTOR_TIMER);
}

void time_stop_cpu(void)
{
	apic_timer_start(0, false, VECTOR_SPURIOUS);
}

static void insert(struct timer *timer, u64 when)
{
	struct timer *later;

	timer->when = when;
	list_for_each(later, &timers, link)
		if (later->when > when)
			break;
	list_add_before(&timer->link, &later->link);
}

void timer_add(struct timer *timer, u64 when, struct task *task)
{
	u64 flags = spin_lock_irq(&timer_lock);

	timer->task = task;
	insert(timer, when);
	spin_unlock_irq(&timer_lock, flags);
}

void timer_cancel(struct timer *timer)
{
	u64 flags = spin_lock_irq(&timer_lock);

	list_del(&timer->link);
	spin_unlock_irq(&timer_lock, flags);
}

static void expire_timers(u64 now)
{
	u64 flags = spin_lock_irq(&timer_lock);

	while (!list_empty(&timers) && list_first(&timers, struct timer, link)->when <= now) {
		struct timer *timer = list_first(&timers, struct timer, link);
		u64 again = 0;

		list_del(&timer->link);
		if (timer->task)
			task_wake(timer->task);
		else
			again = timer->fn(timer, now);
		if (again)
			insert(timer, again);
	}
	spin_unlock_irq(&timer_lock, flags);
}

void timer_interrupt(void)
{
	this_cpu->ticks++;
	if (current == this_cpu->idle)
		this_cpu->idle_ticks++;
	entropy_mix_irq(rdtsc());
	if (!this_cpu->id) /* one CPU that looks is enough */
		expire_timers(clock_ns());
	if (unlikely(screen_on))
		screen_tick();
	sched_tick();
}

long sleep_until(u64 when)
{
	struct timer timer;
	long result = 0;

	timer_add(&timer, when, current);
	for (;;) {
		task_will_sleep();
		if (clock_ns() >= when || timer_expired(&timer)) /* by another CPU's clock, if ours is behind */
			break;
		if (signal_waiting()) {
			result = -EINTR;
			break;
		}
		schedule();
	}
	current->state = TASK_RUNNING;
	timer_cancel(&timer);
	return result;
}
