/* More than one CPU: their start, and what they have to tell each other. See smp.c. */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include "kernel/cpu.h"

/* Physical page where the other CPUs begin (boot/trampoline.asm): low memory, which page.c gives to nobody. */
#define TRAMPOLINE 0x8000ul

/* Starts the CPUs that ACPI lists, up to maxcpus= of them. Interrupts off, on the boot processor. */
void smp_init(void);

/*
 * Takes a CPU but the boot processor out of use, its tasks elsewhere; brings it back. Waits until that is so. 0,
 * -EINVAL: no such CPU, or it is already as asked; -EIO: it does not come up. May sleep.
 */
long smp_offline(u64 id);
long smp_online(u64 id);

/* The rest of smp_offline, by the idle task of a CPU that accepts no tasks. Interrupts off. */
void smp_go_offline(void) __attribute__((noreturn));

/* The CPU tests its current task's flags soon. Any context. */
void smp_send_reschedule(u32 cpu);

/*
 * Runs fn(arg) on those CPUs of the mask that are online, in an interrupt, and waits until all have done so; the
 * own CPU is left out. Returns how many they were. With preemption off and interrupts on, and without any spin lock
 * that is ever taken with interrupts off: a CPU that waits for that lock would never answer.
 */
u32 smp_call(u64 cpu_mask, void (*fn)(void *arg), void *arg);
#define ALL_CPUS (~0ul)

/* Stops all other CPUs for good, wherever they are: before the machine's last words. */
void smp_stop_others(void);

/*
 * All other CPUs wait where they are, in an NMI, until they are let go. By one CPU at a time, which must wait for no
 * lock meanwhile.
 */
void smp_hold_others(bool hold);

/* Interrupt handlers: VECTOR_CALL; an NMI, which stops or holds the CPU if it is to. False: it came from elsewhere. */
void smp_run_calls(void);
bool smp_nmi(void);

#endif
