/*
 * Exceptions and interrupts after entry.asm has saved the registers: the IDT, the dispatch, and what an
 * exception means. One that user code caused becomes the signal that Linux would send (exception.c); one in the
 * kernel is repaired by the exception table (uaccess.asm) or is a panic. The kernel never panics on what
 * a user program did.
 */
#include "fpu/fpu.h"
#include "kernel/apic.h"
#include "kernel/exception.h"
#include "kernel/fault.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/traps.h"
#include "kernel/tty.h"
#include "kernel/uaccess.h"
#include "kernel/update.h"
#include "kernel/vcpu.h"
#include "sched/exit.h"
#include "sched/sched.h"
#include "sched/signal.h"
#include "sched/task.h"

#define GATE_INTERRUPT 0x8e /* present, ring 0, interrupt gate */
#define GATE_RING3 0x60

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};

extern void syscall_entry(void), syscall_entry_watched(void), syscall32_entry(void);
extern const u64 interrupt_stubs[NUMBERED_STUBS + 2];

static struct gate idt[256];

static void set_gate(u32 vector, u64 handler)
{
	struct gate *gate = &idt[vector];

	gate->offset_low = (u16)handler;
	gate->offset_middle = (u16)(handler >> 16);
	gate->offset_high = (u32)(handler >> 32);
	gate->selector = KERNEL_CS;
	gate->type = GATE_INTERRUPT;
}

void trap_init(void)
{
	for (u32 i = 0; i < NUMBERED_STUBS; i++)
		set_gate(i, interrupt_stubs[i]);
	set_gate(VECTOR_INT80, interrupt_stubs[NUMBERED_STUBS]);
	set_gate(VECTOR_SPURIOUS, interrupt_stubs[NUMBERED_STUBS + 1]);
	idt[EXC_DEBUG].ist = IST_DEBUG;
	idt[EXC_NMI].ist = IST_NMI;
	idt[EXC_DOUBLE_FAULT].ist = IST_DOUBLE_FAULT;
	idt[EXC_MACHINE_CHECK].ist = IST_MACHINE_CHECK;
	idt[EXC_BREAKPOINT].type |= GATE_RING3; /* INT3 and INT 4 from user mode */
	idt[EXC_OVERFLOW].type |= GATE_RING3;
	idt[VECTOR_INT80].type |= GATE_RING3;
}

void idt_load(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)idt };

	asm volatile("lidt %0" ::"m"(pointer));
}

const char *exception_name(u64 vector)
{
	static const char *const names[] = {
		[EXC_DIVIDE] = "divide error", [EXC_DEBUG] = "debug", [EXC_NMI] = "NMI",
		[EXC_BREAKPOINT] = "breakpoint", [EXC_OVERFLOW] = "overflow", [EXC_BOUND] = "bound range",
		[EXC_UNDEFINED] = "invalid opcode", [EXC_NO_FPU] = "device not available",
		[EXC_DOUBLE_FAULT] = "double fault", [EXC_TSS] = "invalid TSS",
		[EXC_SEGMENT] = "segment not present", [EXC_STACK] = "stack-segment fault",
		[EXC_PROTECTION] = "general protection", [EXC_PAGE_FAULT] = "page fault",
		[EXC_X87] = "x87 floating-point error", [EXC_ALIGNMENT] = "alignment check",
		[EXC_MACHINE_CHECK] = "machine check", [EXC_SIMD] = "SIMD floating-point exception",
		[EXC_CONTROL] = "control protection",
	};

	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "reserved exception";
}

static bool is_syscall_entry(u64 rip)
{
	return rip == (u64)syscall_entry || rip == (u64)syscall_entry_watched || rip == (u64)syscall32_entry;
}

static void kernel_exception(u64 vector, struct regs *regs)
{
	u64 fixup = extable_fixup(regs->rip);

	if (vector == EXC_NMI) {
		if (!smp_nmi())
			klog("NMI at %lx, ignored", regs->rip);
		return;
	}
	if (vector == EXC_DEBUG && is_syscall_entry(regs->rip))
		return; /* a user's single step of SYSCALL; it goes on when the user does */
	if (fixup && (vector == EXC_PROTECTION || vector == EXC_STACK || vector == EXC_UNDEFINED)) {
		regs->rip = fixup; /* a non-canonical user address, a refused image, an XSAVES that is not there */
		return;
	}
	if (vector == EXC_DOUBLE_FAULT && kstack_guard_hit(read_cr2()))
		panic_regs(regs, "kernel stack overflow: %lx lies below the stack of task %d (%s)", read_cr2(),
			   current->tid, current->name);
	panic_regs(regs, "%s in the kernel, vector %lu", exception_name(vector), vector);
}

static void interrupt(u64 vector, struct regs *regs)
{
	switch (vector) {
	case VECTOR_TIMER:
		apic_end_of_interrupt();
		timer_interrupt();
		if (unlikely(in_guest()) && user_mode(regs))
			vcpu_tick();
		break;
	case VECTOR_COM1:
		tty_interrupt();
		apic_end_of_interrupt();
		break;
	case VECTOR_RESCHEDULE:
		apic_end_of_interrupt();
		break;
	case VECTOR_CALL:
		apic_end_of_interrupt();
		smp_run_calls();
		break;
	case VECTOR_INT80:
		irq_enable();
		if (unlikely(in_guest()))
			vcpu_int80(regs);
		else
			regs->rax = (u64)syscall_int80(regs);
		irq_disable();
		break;
	case VECTOR_SPURIOUS:
		break;
	default:
		klog("unexpected interrupt vector %lu", vector);
		apic_end_of_interrupt();
	}
}

void trap(u64 vector, struct regs *regs)
{
	if (vector == EXC_PAGE_FAULT)
		page_fault(regs);
	else if (vector >= VECTOR_TIMER)
		interrupt(vector, regs);
	else if (user_mode(regs) && vector != EXC_NMI && vector != EXC_DOUBLE_FAULT && vector != EXC_MACHINE_CHECK)
		user_exception(vector, regs);
	else
		kernel_exception(vector, regs);
	if (user_mode(regs))
		regs->orig_rax = ~0ul; /* no system call is to be made again */

	/* The preemptible kernel: an interrupt that found it with interrupts on and no lock held may switch. */
	if (!user_mode(regs) && regs->rflags & RFLAGS_IF && !this_cpu->preempt_count && need_resched())
		schedule_preempted();
}

bool exit_to_user_work(struct regs *regs)
{
	struct task *task = current;
	bool changed = false;
	u32 flags;

	if (this_cpu->preempt_count)
		panic("preemption count %u on the way to user mode", this_cpu->preempt_count);
	for (;;) {
		flags = task->flags;
		if (flags & TASK_FRAME_CHANGED) {
			task->own_flags &= (u8)~TASK_FRAME_CHANGED;
			changed = true;
		}
		if (flags & (TASK_KILLED | TASK_SIGNAL | TASK_RESCHED | TASK_UPDATE)) {
			irq_enable();
			if (flags & TASK_GUEST && flags & (TASK_KILLED | TASK_SIGNAL | TASK_UPDATE))
				vcpu_interrupted();
			if (flags & TASK_KILLED)
				task_exit_killed();
			if (flags & TASK_RESCHED)
				schedule();
			if (flags & TASK_UPDATE)
				updates_take();
			if (flags & TASK_SIGNAL)
				signal_deliver(regs);
			irq_disable();
		} else if (!(flags & TASK_NEED_FPU_LOAD) || fpu_exit_to_user(&task->fpu)) {
			break; /* interrupts have been off since the flags were read */
		} else {
			klog("kill: %s[%d]: its FPU state could not be loaded", task->name, task->tid);
			signal_kill(SIGSEGV);
		}
	}
	if (unlikely(flags & (TASK_TRACED | TASK_GUEST)))
		cpu_watch_syscalls(true);
	if (unlikely(flags & TASK_GUEST))
		vcpu_resumes();
	return changed;
}
