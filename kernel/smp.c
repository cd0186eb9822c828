/*
 * The other CPUs: their start by INIT and start-up messages, and how one CPU has something done on others. CPUs are
 * started one after the other by the boot processor; one that does not come up, or whose registers or
 * protections differ from the boot processor's, is put back into reset and left out, with a line in the log.
 *
 * Nothing about register contexts ever sends a message: a context that moves to another CPU is simply not valid
 * there (fpu/context.h).
 */
#include "fpu/fpu.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/bootinfo.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/traps.h"
#include "sched/sched.h"
#include "sched/task.h"

#define RESET_TICKS 10	 /* from INIT to the start-up message */
#define START_TICKS 2000 /* a CPU that has not come up by then is given up: an emulator's may be slow */
#define STOP_TICKS 1000	 /* how long the last words wait for the others to be quiet */

extern const char trampoline_start[], trampoline_end[];

/* For the CPU that is being started: trampoline.asm reads them. */
struct cpu *ap_cpu;
u64 ap_cr3;

static volatile bool stopping, holding;
static u64 nmis; /* BIT(id): an NMI of ours is on its way to that CPU */
static struct mutex hotplug; /* one CPU at a time comes or goes: there is one ap_cpu */

static void halt(void) __attribute__((noreturn));
static void halt(void)
{
	irq_disable();
	for (;;)
		asm volatile("hlt");
}

/* The first C function of a CPU, on the stack of its idle task, interrupts off. */
void ap_main(struct cpu *cpu);
void ap_main(struct cpu *cpu)
{
	bool equal = cpu_features_equal();

	if (equal) {
		cpu_init(cpu);
		equal = fpu_init_cpu(&cpu->fpu);
	}
	if (!equal) {
		cpu->refused = true;
		halt();
	}
	apic_init_cpu();
	time_init_cpu();
	sched_open_cpu(); /* whoever sees it online may want to run there */
	cpu->online = true;
	smp_run_calls(); /* from somebody who found it online before it went, and whose message was lost */
	idle_loop();
}

static void wait_ticks(u64 ticks)
{
	u64 end = clock_ns() + ticks * NSEC_PER_TICK;

	while (clock_ns() < end)
		cpu_relax();
}

/* True once the CPU has come up, or has refused to; false if it has not for so long. */
static bool answers(const struct cpu *cpu, u64 ticks)
{
	u64 end = clock_ns() + ticks * NSEC_PER_TICK;

	while (!cpu->online && !cpu->refused && clock_ns() < end)
		cpu_relax();
	return cpu->online || cpu->refused;
}

/* A CPU to be started, with its idle task. */
static struct cpu *new_cpu(void)
{
	struct cpu *cpu = cpu_create(ncpus);

	if (!cpu)
		return NULL;
	cpu->idle = task_reserve(MAX_TASKS) ? task_alloc("idle") : NULL;
	if (!cpu->idle)
		return NULL;
	cpu->idle->state = TASK_RUNNING;
	return cpu;
}

/* The CPU has been reset. The second message is for those that miss the first (manual, volume 3, 9.4.4). */
static bool start(struct cpu *cpu, u32 apic_id)
{
	cpu->apic_id = apic_id;
	cpu->refused = false;
	cpu->mm = &kernel_mm;
	cpu->current_task = cpu->idle;
	cpu->tss.rsp[0] = cpu->idle->kstack;
	ap_cpu = cpu;
	apic_send_startup(apic_id, TRAMPOLINE);
	if (!answers(cpu, 1)) {
		apic_send_startup(apic_id, TRAMPOLINE);
		answers(cpu, START_TICKS);
	}
	if (cpu->online)
		return true;
	apic_send_init(apic_id);
	wait_ticks(RESET_TICKS);
	klog("smp: CPU with APIC id %u %s, left out", apic_id,
	     cpu->refused ? "differs from the boot processor" : "does not come up");
	return false;
}

static void start_all(u32 limit)
{
	struct cpu *cpu = NULL;

	for (u32 i = 0; i < acpi.ncpus && ncpus < limit; i++) {
		if (acpi.apic_ids[i] == boot_cpu.apic_id)
			continue;
		if (!cpu && !(cpu = new_cpu())) {
			klog("smp: no memory for CPU %u", ncpus);
			return;
		}
		if (!start(cpu, acpi.apic_ids[i]))
			continue; /* the next one gets its struct */
		cpus[ncpus++] = cpu;
		cpu = NULL;
	}
}

void smp_init(void)
{
	u32 limit = (u32)MIN(boot_number("maxcpus", MAX_CPUS), MAX_CPUS);

	mutex_init(&hotplug);
	boot_cpu.apic_id = apic_id();
	if (limit > 1 && acpi.ncpus > 1) {
		memcpy(phys_to_virt(TRAMPOLINE), trampoline_start, (size_t)(trampoline_end - trampoline_start));
		ap_cr3 = kernel_mm.cr3;
		for (u32 i = 0; i < acpi.ncpus; i++)
			if (acpi.apic_ids[i] != boot_cpu.apic_id)
				apic_send_init(acpi.apic_ids[i]);
		wait_ticks(RESET_TICKS);
		start_all(limit);
	}
	klog("smp: %u CPU%s", ncpus, ncpus == 1 ? "" : "s");
}

/* Interrupts stay on: somebody may have found this CPU online a moment ago and wait for an answer. */
void smp_go_offline(void)
{
	time_stop_cpu();
	mm_switch(&kernel_mm);
	fpu_cpu_down(&this_cpu->self->fpu);
	this_cpu->online = false;
	irq_enable();
	for (;;)
		asm volatile("hlt");
}

static void close_cpu(void *arg)
{
	sched_close_cpu();
}

static long offline(u64 id)
{
	u64 flags;

	if (!id || id >= ncpus || !cpus[id]->online)
		return -EINVAL;
	preempt_disable();
	smp_call(BIT(id), close_cpu, NULL);
	flags = irq_save();
	if (this_cpu->id == id)
		sched_close_cpu();
	irq_restore(flags);
	preempt_enable();
	while (cpus[id]->online)
		sleep_until(clock_ns() + NSEC_PER_TICK);
	return 0;
}

/* From reset: what the registers hold now belongs to nobody. */
static long online(u64 id)
{
	if (id >= ncpus || cpus[id]->online)
		return -EINVAL;
	apic_send_init(cpus[id]->apic_id);
	wait_ticks(RESET_TICKS);
	return start(cpus[id], cpus[id]->apic_id) ? 0 : -EIO;
}

long smp_offline(u64 id)
{
	long result;

	mutex_lock(&hotplug);
	result = offline(id);
	mutex_unlock(&hotplug);
	return result;
}

long smp_online(u64 id)
{
	long result;

	mutex_lock(&hotplug);
	result = online(id);
	mutex_unlock(&hotplug);
	return result;
}

void smp_send_reschedule(u32 cpu)
{
	apic_send_interrupt(cpus[cpu]->apic_id, VECTOR_RESCHEDULE);
}

/*
 * Each CPU has one call at a time, in its struct cpu, and a mask of the CPUs whose calls it has still to run. A
 * message that comes while the last one is being handled is delivered afterwards, so no bit is overlooked.
 */
u32 smp_call(u64 cpu_mask, void (*fn)(void *arg), void *arg)
{
	struct cpu *self = this_cpu->self, *cpu;
	u64 targets = 0;
	u32 told = 0;

	for_each_online_cpu(cpu)
		if (cpu != self && cpu_mask & BIT(cpu->id))
			targets |= BIT(cpu->id);
	if (!targets)
		return 0;
	if (!irq_enabled())
		panic("smp_call with interrupts off");
	self->call.fn = fn;
	self->call.arg = arg;
	__atomic_store_n(&self->call.pending, targets, __ATOMIC_RELEASE);
	for (; targets; targets &= targets - 1, told++) {
		cpu = cpus[__builtin_ctzl(targets)];
		__atomic_fetch_or(&cpu->callers, BIT(self->id), __ATOMIC_SEQ_CST);
		apic_send_interrupt(cpu->apic_id, VECTOR_CALL);
	}
	while (__atomic_load_n(&self->call.pending, __ATOMIC_ACQUIRE))
		cpu_relax();
	return told;
}

void smp_run_calls(void)
{
	struct cpu *self = this_cpu->self;
	u64 callers = __atomic_exchange_n(&self->callers, 0, __ATOMIC_SEQ_CST);

	for (; callers; callers &= callers - 1) {
		struct cpu_call *call = &cpus[__builtin_ctzl(callers)]->call;

		call->fn(call->arg);
		__atomic_fetch_and(&call->pending, ~BIT(self->id), __ATOMIC_SEQ_CST);
	}
}

/* By NMI: another CPU may have its interrupts off, or spin for a lock that will never be free again. */
static void nmi_others(void)
{
	struct cpu *cpu;

	for_each_online_cpu(cpu) {
		if (cpu == this_cpu->self)
			continue;
		__atomic_fetch_or(&nmis, BIT(cpu->id), __ATOMIC_SEQ_CST);
		apic_send_nmi(cpu->apic_id);
	}
}

void smp_stop_others(void)
{
	struct cpu *cpu;
	u64 end = clock_ns() + STOP_TICKS * NSEC_PER_TICK;

	stopping = true;
	nmi_others();
	for_each_online_cpu(cpu)
		while (cpu != this_cpu->self && !cpu->stopped && clock_ns() < end)
			cpu_relax();
}

void smp_hold_others(bool hold)
{
	holding = hold;
	if (hold)
		nmi_others();
}

bool smp_nmi(void)
{
	if (stopping) {
		this_cpu->stopped = true;
		halt();
	}
	while (holding)
		cpu_relax();
	return __atomic_fetch_and(&nmis, ~BIT(this_cpu->id), __ATOMIC_SEQ_CST) & BIT(this_cpu->id);
}
