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
#define LDT_SELECTOR 0x50
#define GDT_ENTRIES 12

/* Stacks of the TSS for exceptions that may come at any instruction; numbers as in an IDT gate. */
#define IST_NMI 1
#define IST_DOUBLE_FAULT 2
#define IST_MACHINE_CHECK 3
#define IST_DEBUG 4
#define IST_COUNT 4
#define IST_STACK_SIZE 8192

#define MAX_CPUS 16

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

/* See spinlock.h. */
struct spinlock {
	u32 locked;
};

/* A CPU's runnable tasks but the running one. Its lock covers them, and more: see sched.c. */
struct runqueue {
	struct spinlock lock;
	u32 length;
	struct list tasks;
};

struct tss {
	u32 reserved0;
	u64 rsp[3]; /* [0]: top of current's kernel stack, where every entry from user mode starts */
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __attribute__((packed));

/* A function that this CPU wants run on others (kernel/smp.c). */
struct cpu_call {
	void (*fn)(void *arg);
	void *arg;
	volatile u64 pending; /* CPUs that have not yet run it */
};

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
	struct task *left; /* the task before this one, if it has ended or may no longer run here */
	u64 accepts;	   /* BIT(id) while it runs tasks, else 0; with rq.lock */
	struct mm *mm;	   /* whose page tables CR3 holds */
	const struct ldt *ldt; /* what LDTR holds, or NULL */
	bool watches_syscalls; /* SYSCALL enters where a tracer may look (cpu_watch_syscalls) */
	struct runqueue rq;
	struct fpu_cpu fpu;
	volatile bool online;  /* takes part in everything: has interrupts, a tick and an idle task */
	volatile bool refused; /* differs from the boot processor: will never be online */
	volatile bool stopped; /* has obeyed smp_stop_others */
	struct cpu_call call;
	volatile u64 callers; /* CPUs whose call is to be run here */
	u64 switches, ticks, idle_ticks, page_faults, syscalls_missing, pasid_populated;
	char *ist_stacks; /* IST_COUNT of them, aligned to their size */
	u64 gdt[GDT_ENTRIES];
	struct tss tss;
};

#define this_cpu ((__seg_gs struct cpu *)0)
#define current (this_cpu->current_task)

extern struct cpu boot_cpu;

/* All CPUs that ever came up, by id; the boot processor is cpus[0]. Filled at boot. */
extern struct cpu *cpus[MAX_CPUS];
extern u32 ncpus;

#define for_each_online_cpu(cpu)                                                                   \
	for (u32 cpu##_id_ = 0; cpu##_id_ < ncpus; cpu##_id_++)                                    \
		if ((cpu = cpus[cpu##_id_])->online)

/* A counter of the running CPU goes up by one, in one instruction: no preemption can come between. */
#define this_cpu_count(counter) asm volatile("incq %%gs:%c0" ::"i"(offsetof(struct cpu, counter)))

/* CPU features that the kernel acts on; set once by cpu_init. */
struct cpu_features {
	bool smep, smap, umip, fsgsbase, pge;
};
extern struct cpu_features cpu_features;

/* The CPUs that run tasks, as a mask. */
static inline u64 cpus_accepting(void)
{
	u64 mask = 0;

	for (u32 i = 0; i < ncpus; i++)
		mask |= cpus[i]->accepts;
	return mask;
}

/*
 * Whether the running CPU lets tracers look at system calls. On from where a traced task goes to user mode; off again
 * when the first one that is not traced comes by, so that others' calls need no test. Interrupts off.
 */
void cpu_watch_syscalls(bool on);

/* Another CPU's struct, with its stacks for exceptions, not yet running; NULL when memory is out. */
struct cpu *cpu_create(u32 id);

/* Loads GDT, TSS, IDT, GS base, the SYSCALL registers and CR4 of the running CPU. */
void cpu_init(struct cpu *cpu);

/* True if the running CPU has what cpu_features says, no more and no less. */
bool cpu_features_equal(void);

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
#define TASK_GUEST BIT(2)	   /* a guest runs in its place (kernel/vcpu.h): the slow way to user mode, always */
#define TASK_RESCHED BIT(8)	  /* time slice over, or something better to do */
#define TASK_KILLED BIT(9)	  /* must end; the process's exit_status says how */
#define TASK_SIGNAL BIT(10)	  /* may have a signal to take (sched/signal.h) */
#define TASK_TRACED BIT(11)	  /* its tracer wants to know of system calls, or steps it (sched/stop.h) */
#define TASK_UPDATE BIT(12)	  /* values of FPU components wait for it (kernel/update.h) */

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
