/*
 * The debug call: things that a test wants to see go wrong, or to look at. Only with `debug` on the command
 * line; a normal boot refuses.
 */
#include "fpu/environment.h"
#include "fpu/image.h"
#include "fpu/kernel.h"
#include "kernel/bootinfo.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/shortage.h"
#include "kernel/smp.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "sched/sched.h"
#include "sched/task.h"

/* Recursion without a reachable end; volatile keeps the compiler from seeing that. */
static volatile u64 bottom = ~0ul;

static u64 overflow_stack(u64 depth)
{
	volatile char frame[512];

	frame[depth % sizeof(frame)] = 1;
	return depth == bottom ? 0 : overflow_stack(depth + 1) + (u64)frame[0];
}

static long raise_exception(u64 vector)
{
	switch (vector) {
	case EXC_DIVIDE:
		asm volatile("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tdivl %%ecx" ::"a"(1) : "ecx", "edx");
		break;
	case EXC_DEBUG:
		asm volatile("int $1");
		break;
	case EXC_NMI:
		asm volatile("int $2");
		break;
	case EXC_BREAKPOINT:
		asm volatile("int3");
		break;
	case EXC_UNDEFINED:
		asm volatile("ud2");
		break;
	case EXC_PROTECTION:
		asm volatile("mov (%0), %%rax" ::"r"(0x8000000000000000ul) : "rax");
		break;
	case EXC_PAGE_FAULT:
		asm volatile("mov (%0), %%rax" ::"r"(DEVICE_MAPPINGS - PAGE_SIZE) : "rax");
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

/*
 * Counts the timer's interrupts, not time: an emulator on a busy host loses some. A move to another CPU is one too.
 */
static void spin_ticks(u64 ticks)
{
	u64 last = this_cpu->ticks, now;

	for (; ticks; cpu_relax()) {
		now = *(volatile u64 __seg_gs *)&this_cpu->ticks;
		ticks -= now != last;
		last = now;
	}
}

struct wake_request {
	u64 when;
	struct completion completion;
};

static void wake_later(void *arg)
{
	struct wake_request *request = arg;

	sleep_until(request->when);
	complete(&request->completion);
}

static long wake_by_thread(u64 ms)
{
	struct wake_request request = { .when = clock_ns() + ms * 1000000 };

	completion_init(&request.completion);
	if (!kthread_create("wake-later", wake_later, &request))
		return -ENOMEM;
	wait_for_completion(&request.completion);
	return 0;
}

struct tenth_request {
	long bits;
	struct completion completion;
};

static void compute_tenth(void *arg)
{
	struct tenth_request *request = arg;

	request->bits = (long)fpu_tenth_sse();
	complete(&request->completion);
}

/* In a kernel thread, which has no registers of its own. */
static long tenth_by_thread(void)
{
	struct tenth_request request;

	completion_init(&request.completion);
	if (!kthread_create("tenth", compute_tenth, &request))
		return -ENOMEM;
	wait_for_completion(&request.completion);
	return request.bits;
}

static long tenth(u64 how)
{
	switch (how) {
	case TARRY_TENTH_SSE:
		return (long)fpu_tenth_sse();
	case TARRY_TENTH_X87:
		return (long)fpu_tenth_x87();
	case TARRY_TENTH_THREAD:
		return tenth_by_thread();
	default:
		return -EINVAL;
	}
}

/*
 * TSC ticks of the statements, as TARRY_SECTION_GROSS and so on take them apart. volatile: in a register the figures
 * would cost the statements one.
 */
#define TICKS(statements)                                                                          \
	({                                                                                         \
		const struct fpu_counters *counters_ = &fpu_this_cpu()->counters, before_ = *counters_; \
		volatile u64 empty_ = rdtsc(), start_ = rdtsc(), end_;                             \
		statements;                                                                        \
		end_ = rdtsc();                                                                    \
		(end_ - start_ - (start_ - empty_)) | (counters_->model_ticks - before_.model_ticks) << 20 | \
			(counters_->trace_ticks - before_.trace_ticks) << 40;                      \
	})

/*
 * What a kernel FPU section costs that does nothing: the first since user code ran, the next; the save in the first, and
 * a load.
 */
static long section_ticks(u64 which)
{
	volatile u64 flags = irq_save(), save = 0, load = 0, first, again;

	if (fpu_has_registers(&current->fpu) && fpregs_valid(fpu_this_cpu(), &current->fpu.user)) {
		save = TICKS(fpu_image_save(fpu_this_cpu(), current->fpu.user.fpstate));
		if (which == TARRY_SECTION_LOAD)
			load = TICKS(fpu_image_load(fpu_this_cpu(), current->fpu.user.fpstate));
	}
	first = TICKS(kernel_fpu_begin(); kernel_fpu_end());
	again = TICKS(kernel_fpu_begin(); kernel_fpu_end());
	irq_restore(flags);
	return (long)(which == TARRY_SECTION_FIRST ? first : which == TARRY_SECTION_AGAIN ? again :
		      which == TARRY_SECTION_SAVE ? save : load);
}

static void panic_here(void *arg)
{
	(void)arg;
	panic("asked for by the debug call");
}

static void count_call(void *arg)
{
	__atomic_fetch_add((u64 *)arg, 1, __ATOMIC_RELAXED);
}

/* A preemption point between two, so that the caller may go on from another CPU. */
static long call_others(u64 times)
{
	u64 answers = 0;

	while (times--) {
		preempt_disable();
		smp_call(ALL_CPUS, count_call, &answers);
		preempt_enable();
	}
	return (long)answers;
}

struct peek {
	struct mm *mm;
	struct tarry_peek result;
};

/* On an idle CPU, in an interrupt. What a page table says need not be what the TLB knows. */
static void peek(void *arg)
{
	struct peek *peek = arg;
	u32 value;

	if (current != this_cpu->idle)
		return;
	mm_switch(peek->mm);
	preempt_disable(); /* a fault is the answer, not to be repaired */
	if (user_read_u32(peek->result.address, &value)) {
		__atomic_fetch_add(&peek->result.faults, 1, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(&peek->result.readers, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&peek->result.sum, value, __ATOMIC_RELAXED);
	}
	preempt_enable_no_resched();
}

static long peek_from_others(u64 user_peek)
{
	struct peek request = { .mm = current->mm };

	if (copy_from_user(&request.result.address, user_peek, sizeof(u64)))
		return -EFAULT;
	preempt_disable();
	smp_call(ALL_CPUS, peek, &request);
	preempt_enable();
	return copy_to_user(user_peek, &request.result, sizeof(request.result));
}

long sys_tarry_debug(u64 command, u64 arg)
{
	if (!boot_flag("debug"))
		return -EPERM;
	switch (command) {
	case TARRY_DEBUG_PANIC:
		if (!arg)
			panic_here(NULL);
		preempt_disable();
		smp_call(arg, panic_here, NULL);
		preempt_enable();
		return 0;
	case TARRY_DEBUG_STACK_OVERFLOW:
		return (long)overflow_stack(0);
	case TARRY_DEBUG_EXCEPTION:
		return raise_exception(arg);
	case TARRY_DEBUG_CHECK_WX:
		return (long)paging_count_wx(current->mm->pml4);
	case TARRY_DEBUG_SMEP:
		((void (*)(void))arg)();
		return 0;
	case TARRY_DEBUG_SMAP:
		return *(volatile char *)arg;
	case TARRY_DEBUG_UNBALANCED:
		preempt_disable();
		task_set_flag(current, TASK_RESCHED); /* the way out looks only when there is work */
		return 0;
	case TARRY_DEBUG_SPIN:
		spin_ticks(arg);
		return 0;
	case TARRY_DEBUG_SPIN_NOPREEMPT:
		preempt_disable();
		spin_ticks(arg);
		preempt_enable();
		return 0;
	case TARRY_DEBUG_SECTION:
		return section_ticks(arg);
	case TARRY_DEBUG_CPU_OFFLINE:
		return smp_offline(arg);
	case TARRY_DEBUG_CPU_ONLINE:
		return smp_online(arg);
	case TARRY_DEBUG_FAIL_ALLOC:
		return (long)shortage_plan(arg);
	case TARRY_DEBUG_WAKE:
		return wake_by_thread(arg);
	case TARRY_DEBUG_TENTH:
		return tenth(arg);
	case TARRY_DEBUG_CALL:
		return call_others(arg);
	case TARRY_DEBUG_PEEK:
		return peek_from_others(arg);
	default:
		return -EINVAL;
	}
}
