/* Small system calls: who am I, what time is it, sleep, and the counters. */
#include "fpu/buffers.h"
#include "fpu/intonly.h"
#include "fpu/image.h"
#include "fpu/policy.h"
#include "kernel/cpu.h"
#include "kernel/entropy.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/mm.h"
#include "kernel/packets.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/uaccess.h"
#include "kernel/wq.h"
#include "kernel/xcomp.h"
#include "sched/process.h"
#include "sched/sched.h"

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_LAST 11
#define TIMER_ABSTIME 1

struct utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

long sys_getpid(void)
{
	return current->process->pid;
}

long sys_gettid(void)
{
	return current->tid;
}

long sys_getppid(void)
{
	u64 flags = spin_lock_irq(&task_lock); /* the parent may end meanwhile, and be freed */
	int pid = current->process->parent->pid;

	spin_unlock_irq(&task_lock, flags);
	return pid;
}

long sys_getuid(void)
{
	return USER_ID;
}

long sys_getgid(void)
{
	return USER_ID;
}

long sys_geteuid(void)
{
	return USER_ID;
}

long sys_getegid(void)
{
	return USER_ID;
}

long sys_sched_yield(void)
{
	schedule();
	return 0;
}

long sys_set_tid_address(u64 address)
{
	current->clear_child_tid = address;
	return current->tid;
}

long sys_uname(u64 buf)
{
	static const struct utsname name = {
		"Tarry", "tarry", "6.1.0-tarry", "teaching microkernel", "x86_64", "(none)",
	};

	return copy_to_user(buf, &name, sizeof(name));
}

long sys_arch_prctl(u32 command, u64 address)
{
	u64 value;

	switch (command) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (address >= USER_END)
			return -EPERM;
		/*
		 * Without FSGSBASE the switch takes the bases from here, so a switch before the MSR is written is
		 * right.
		 */
		*(command == ARCH_SET_FS ? &current->fs_base : &current->gs_base) = address;
		wrmsr(command == ARCH_SET_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE, address);
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		value = rdmsr(command == ARCH_GET_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE);
		return copy_to_user(address, &value, sizeof(value));
	default:
		return xcomp_prctl(command, address);
	}
}

u64 timespec_ns(const struct timespec *ts)
{
	if ((u64)ts->sec > ~0ul / 2 / NSEC_PER_SEC)
		return ~0ul / 2;
	return (u64)ts->sec * NSEC_PER_SEC + (u64)ts->nsec;
}

static struct timespec ns_timespec(u64 ns)
{
	return (struct timespec){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC) };
}

/* Linux's clocks 0 to 11; those that count CPU time get the monotonic clock. */
long sys_clock_gettime(int clock, u64 buf)
{
	struct timespec ts = ns_timespec(clock_ns() + (clock == CLOCK_REALTIME ? realtime_offset() : 0));

	if ((u32)clock > CLOCK_LAST)
		return -EINVAL;
	return copy_to_user(buf, &ts, sizeof(ts));
}

long sys_clock_getres(int clock, u64 buf)
{
	struct timespec ts = { 0, 1 };

	if ((u32)clock > CLOCK_LAST)
		return -EINVAL;
	return buf ? copy_to_user(buf, &ts, sizeof(ts)) : 0;
}

long sys_gettimeofday(u64 buf, u64 zone)
{
	struct timespec tv = ns_timespec(clock_ns() + realtime_offset());

	tv.nsec = (s64)((u64)tv.nsec / 1000);
	if (buf && copy_to_user(buf, &tv, sizeof(tv)))
		return -EFAULT;
	return zone ? clear_user(zone, 8) : 0;
}

long sys_time(u64 buf)
{
	u64 seconds = (clock_ns() + realtime_offset()) / NSEC_PER_SEC;

	if (buf && copy_to_user(buf, &seconds, sizeof(seconds)))
		return -EFAULT;
	return (long)seconds;
}

/* A point in time stays where it is: the call can be made again. */
static long sleep_to(u64 when)
{
	return sleep_until(when) ? -ERESTARTNOHAND : 0;
}

static long sleep_for(u64 when, u64 user_remain);

static long sleep_again(const struct restart *restart)
{
	return sleep_for(restart->until, restart->address);
}

/* Interrupted, it tells how much is missing, and goes on with that if no handler ran. */
static long sleep_for(u64 when, u64 user_remain)
{
	struct timespec remain;
	u64 now;

	if (!sleep_until(when))
		return 0;
	now = clock_ns();
	remain = ns_timespec(when > now ? when - now : 0);
	if (user_remain && copy_to_user(user_remain, &remain, sizeof(remain)))
		return -EFAULT;
	current->signals.restart = (struct restart){ .fn = sleep_again, .address = user_remain, .until = when };
	return -ERESTART_RESTARTBLOCK;
}

long sys_clock_nanosleep(int clock, u32 flags, u64 request, u64 remain)
{
	struct timespec ts;
	u64 when;

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return -EINVAL;
	if (copy_from_user(&ts, request, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || (u64)ts.nsec >= NSEC_PER_SEC)
		return -EINVAL;
	when = timespec_ns(&ts);
	if (!(flags & TIMER_ABSTIME))
		when += clock_ns();
	else if (clock == CLOCK_REALTIME)
		when -= MIN(when, realtime_offset());
	return flags & TIMER_ABSTIME ? sleep_to(when) : sleep_for(when, remain);
}

long sys_nanosleep(u64 request, u64 remain)
{
	return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, request, remain);
}

static u64 boot_to_user;

void boot_finished(void)
{
	if (boot_to_user)
		return;
	boot_to_user = rdtsc() - boot_tsc;
	klog("boot: %lu TSC ticks from the first kernel instruction to the first user instruction", boot_to_user);
}

u64 boot_insns(void)
{
	return boot_to_user;
}

static u64 policy_number(void)
{
	if (fpu_policy.name == fpu_eager.name)
		return TARRY_POLICY_EAGER;
	return fpu_policy.name == fpu_lazy.name ? TARRY_POLICY_LAZY : TARRY_POLICY_DEFERRED;
}

/* Adds up what each CPU has counted, online or not. */
static void sum_cpus(struct tarry_stats *stats)
{
	for (u32 i = 0; i < ncpus; i++) {
		const struct cpu *cpu = cpus[i];
		const struct fpu_counters *fpu = &cpu->fpu.counters;

		stats->cpus += cpu->online;
		stats->context_switches += cpu->switches;
		stats->ticks += cpu->ticks;
		stats->idle_ticks += cpu->idle_ticks;
		stats->page_faults += cpu->page_faults;
		stats->syscalls_missing += cpu->syscalls_missing;
		stats->pasid_populated += cpu->pasid_populated;
		stats->fpu_saves += fpu->saves;
		stats->fpu_loads += fpu->loads;
		stats->fpu_loads_avoided += fpu->loads_avoided;
		stats->fpu_init_loads += fpu->init_loads;
		stats->fpu_bytes_saved += fpu->bytes_saved;
		stats->fpu_bytes_loaded += fpu->bytes_loaded;
		stats->fpu_sections += fpu->sections;
		stats->fpu_sections_again += fpu->sections_again;
		stats->fpu_traps += fpu->traps;
		stats->model_ticks += fpu->model_ticks;
		stats->trace_ticks += fpu->trace_ticks;
		stats->buffer_bytes_copied += fpu->buffer_bytes;
		stats->invlpgs += fpu->invlpgs;
		stats->shootdowns += fpu->shootdowns;
		stats->shootdowns_sent += fpu->shootdowns_sent;
		stats->shootdowns_taken += fpu->shootdowns_taken;
		stats->fpu_updates_registers += fpu->updates_found[FPU_FOUND_REGISTERS];
		stats->fpu_updates_memory += fpu->updates_found[FPU_FOUND_MEMORY];
		stats->fpu_updates_initial += fpu->updates_found[FPU_FOUND_INIT];
		stats->fpu_updates_flagged += fpu->updates_ended[FPU_ENDED_FLAG];
		stats->fpu_updates_loaded += fpu->updates_ended[FPU_ENDED_LOAD];
		stats->fpu_updates_direct += fpu->updates_ended[FPU_ENDED_DIRECT];
		stats->fpu_updates_queued += fpu->updates_ended[FPU_ENDED_QUEUED];
	}
}

long sys_tarry_stats(u64 buf, size_t size)
{
	struct entropy_counters entropy = entropy_counters();
	struct tarry_stats stats = {
		.free_pages = pages_free() + kstack_cached_pages() + fpu_buffers_cached_pages(),
		.total_pages = pages_total(),
		.tasks = processes_count(),
		.heap_pages = heap_pages(),
		.boot_insns = boot_insns(),
		.uptime_ns = clock_ns(),
		.entropy_samples = entropy.samples,
		.entropy_vector = entropy.vector_mixes,
		.entropy_scalar = entropy.scalar_mixes,
		.packets_sealed = packets_sealed(),
		.policy = policy_number(),
		.keep_registers = fpu_intonly_keeps(),
		.heap_objects = heap_objects(),
		.buffers = fpu_buffers_held(),
		.buffer_bytes = fpu_buffers_bytes(),
		.pasid_strays = wq_strays(),
	};

	copy_string(stats.fpbuf, fpu_buffers.name, sizeof(stats.fpbuf));
	sum_cpus(&stats);
	return copy_to_user(buf, &stats, MIN(size, sizeof(stats)));
}
