/*
 * Spin locks. Holding one turns preemption off. The _irq forms are for data that an interrupt handler
 * touches too. Never sleep, and never touch user memory, with one held.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include "kernel/cpu.h"
#include "kernel/insn.h"

/* Sets bit 0 of a word, atomically; true if it was clear. Two instructions where it is tested. */
static inline bool try_set_bit0(u32 *word)
{
	bool was_set;

	asm volatile("lock btsl $0, %1" : "=@ccc"(was_set), "+m"(*word)::"memory");
	return !was_set;
}

static inline void spin_acquire(struct spinlock *lock)
{
	while (unlikely(!try_set_bit0(&lock->locked)))
		while (__atomic_load_n(&lock->locked, __ATOMIC_RELAXED))
			cpu_relax();
}

static inline void spin_release(struct spinlock *lock)
{
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}

static inline void spin_lock(struct spinlock *lock)
{
	preempt_disable();
	spin_acquire(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	spin_release(lock);
	preempt_enable();
}

static inline u64 spin_lock_irq(struct spinlock *lock)
{
	u64 flags = irq_save();
	preempt_disable();
	spin_acquire(lock);
	return flags;
}

/* A reschedule that became due meanwhile happens at the next interrupt return or preempt_enable. */
static inline void spin_unlock_irq(struct spinlock *lock, u64 flags)
{
	spin_release(lock);
	preempt_enable_no_resched();
	irq_restore(flags);
}

#endif
