/*
 * What belongs to one CPU. The kernel's GS base points to the CPU's struct cpu; this_cpu->field is
 * one GS-relative instruction. A task can be moved to another CPU wherever preemption is on, so a
 * value read through this_cpu is stale after the next preemption point (museum entry 2): read and
 * use it inside one preempt_disable section. `current` is the exception, it follows the task.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "fpu/context.h"
#include "kernel/list.h"
#include "kernel/types.h"

#define KERNEL_CS 0x08
#define KERNEL_SS 0x10
#define USER_CS32 0x23
#define USER_SS 0x2b
#define USER_CS 0x33
#define TSS_SELECTOR 0x40

/* Stacks of the TSS for exceptions that may come at any instruction; numbers as in an IDT gate. */
#define IST_NMI 1
#define IST_DOUBLE_FAULT 2
#define IST_MACHINE_CHECK 3
#define IST_DEBUG 4
#define IST_COUNT 4
#define IST_STACK_SIZE 8192

struct task;

/* The registers of an interrupted program, in the order in which entry.asm pushes them. */
struct regs {
	u64 r15, r14, r13, r12, rbp, rbx;	   /* kept by C functions */
	u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 orig_rax;				   /* system call number, or the error code */
	u64 rip, cs, rflags, rsp, ss;
};

static inline bool user_mode(const struct regs *regs)
{
	return regs->cs & 3;
}

struct runqueue {
	struct list tasks;
	u32 length;
};

struct tss {
	u32 reserved0;
	u64 rsp[3]; /* [0]: top of current's kernel stack, where every entry from user mode starts */
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __attribute__((packed));

struct cpu {
	struct cpu *self;
	struct task *current_task;
	u64 user_rsp;	/* scratch of SYSCALL entry */
	u32 preempt_count;
	u32 id;
	u32 apic_id;
	u32 slice;	/* ticks that the current task has left */
	u64 selectors;	/* DS, ES, FS and GS as user code last left them here (struct task) */
	struct task *idle;
	struct task *dead; /* ended task whose stack the next one frees */
	struct mm *mm;	   /* whose page tables CR3 holds */
	struct runqueue rq;
	struct fpu_cpu fpu;
	u64 switches, ticks, idle_ticks, page_faults;
	u64 gdt[10];
	struct tss tss;
};

#define this_cpu ((__seg_gs struct cpu *)0)
#define current (this_cpu->current_task)

extern struct cpu boot_cpu;

/* CPU features that the kernel acts on; set once by cpu_init. */
struct cpu_features {
	bool smep, smap, umip, fsgsbase, pge;
};
extern struct cpu_features cpu_features;

/* Loads GDT, TSS, IDT, GS base, the SYSCALL registers and CR4 of the running CPU. */
void cpu_init(struct cpu *cpu);

/* Vendor and model strings from CPUID, for the boot message. */
void cpu_describe(char *buf, size_t size);

/* Preemption off and on. Nests. In the count is one for every lock held. */
static inline void preempt_disable(void)
{
	asm volatile("incl %%gs:%c0" ::"i"(offsetof(struct cpu, preempt_count)) : "memory");
}

static inline void preempt_enable_no_resched(void)
{
	asm volatile("decl %%gs:%c0" ::"i"(offsetof(struct cpu, preempt_count)) : "memory");
}

/*
 * The flags word of a task, tested as a whole on the way to user mode with interrupts off. It is the head of
 * struct task (struct fpu_task). The low byte belongs to the CPU that runs the task (plain stores to own_flags); the
 * second byte is set from anywhere with locked operations (task_set_flag).
 */
#define TASK_FRAME_CHANGED BIT(0) /* struct regs was rewritten: load all of it, with IRET */
#define TASK_NEED_FPU_LOAD BIT(1) /* the active register context is not ACTIVE (fpu/context.h) */
#define TASK_RESCHED BIT(8)	  /* time slice over, or something better to do */
#define TASK_KILLED BIT(9)	  /* must end; the process's exit_status says how */

static inline bool need_resched(void)
{
	return *(volatile u32 *)current & TASK_RESCHED;
}

/* True if the current task has been told to end. */
static inline bool task_killed(void)
{
	return *(volatile u32 *)current & TASK_KILLED;
}

/* Switches, unless preemption or interrupts are (still) off. */
void preempt_schedule(void);

static inline void preempt_enable(void)
{
	preempt_enable_no_resched();
	if (unlikely(need_resched()))
		preempt_schedule();
}

#endif
