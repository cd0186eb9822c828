/*
 * Guests: code that runs in ring 3 in place of a task, with an address space, general registers and a register context
 * of its own. vcpu_run puts the guest's registers into the task's frame and returns to user mode; a fault, a system
 * call, the budget's end or something that the owner must see to brings the owner's back. In between the task has
 * TASK_GUEST set, which sends every return to user mode the slow way. What the guest does must never reach the owner:
 * the entry points ask in_guest() before anything else is made of its system calls and faults.
 */
#ifndef KERNEL_VCPU_H
#define KERNEL_VCPU_H

#include "sched/task.h"
#include "user/include/tarry.h"

struct file;

/* `busy` gives it to one thread at a time. */
struct vcpu {
	struct fpu_task fpu;
	struct mm *mm;
	struct regs frame;	       /* the guest's; the owner's while it is entered */
	struct user_segments segments; /* likewise */
	struct file *file;	       /* for the one that has it in hand */
	u64 budget, entries;	       /* of this run */
	u32 busy;
	int pid; /* its maker's */
	struct tarry_vcpu_exit exit;
};

static inline bool in_guest(void)
{
	return current->vcpu;
}

/*
 * All on the way in from the guest's code, interrupts on. Where they end the run, the task's frame is the owner's when
 * they return, and vcpu_run's result in it.
 */
/* By SYSCALL; by INT 0x80. */
void vcpu_hypercall(struct regs *regs);
void vcpu_int80(struct regs *regs);
/* An exception; address for #PF, xfd_err for #NM. */
void vcpu_fault(u64 vector, u64 error, u64 address, u64 xfd_err);
/* There was none for a page of the guest's: vcpu_run fails. */
void vcpu_out_of_memory(void);
/* The owner has signals to take, must end, or has values to take. */
void vcpu_interrupted(void);

/* A timer interrupt in the guest's code. Interrupts off, but for a moment. */
void vcpu_tick(void);
/* The way to the guest's code. Interrupts off. */
void vcpu_resumes(void);

/* The guest, in the caller's hand until vcpu_put; or NULL and why not. Interrupts on. */
struct vcpu *vcpu_get(int fd, long *error);
void vcpu_put(struct vcpu *vcpu);

#endif
