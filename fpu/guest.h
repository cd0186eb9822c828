/*
 * Guests (seed 001): a task that runs guest code has two contexts. Its own, the user context, is parked: valid in memory,
 * and what signals and debuggers see. The guest's is active. So a guest's entry and exit are a switch between two
 * contexts of one task, and all that comes between them, interrupts, preemption, migration, kernel sections, is what
 * happens to any active context: a return to the kernel that ends in the guest again loads nothing unless somebody else
 * used the registers. PKRU alone changes hands at the border, for the kernel touches the memory of whoever is active.
 *
 * A guest is a struct fpu_task that is never scheduled: while it is not entered, the doors (standard.h) take it as they
 * take a stopped task. The caller sees to it that only one task at a time has it in hand.
 */
#ifndef FPU_GUEST_H
#define FPU_GUEST_H

#include "fpu/context.h"

/*
 * A new guest, INACTIVE and initial, with the default PKRU, every dynamic component disabled by its XFD. It has room for
 * all of them, so that to enable one can't fail. False: memory is out.
 */
bool fpu_guest_create(struct fpu_task *guest);

/* A guest that is not entered; interrupts on, no lock held. CPUs may still have its name and its values: both are harmless. */
void fpu_guest_free(struct fpu_task *guest);

/*
 * The running task's active context becomes the guest's; the user's again. Interrupts off. The caller changes address
 * spaces in the same stretch.
 */
void fpu_guest_enter(struct fpu_task *guest);
void fpu_guest_leave(void);

/*
 * The guest's IA32_XFD. What it disables becomes initial, in the registers and in memory: an image with such a component
 * could not be loaded any more (museum entry 39). Entered by the running task, or not at all.
 */
void fpu_guest_set_xfd(struct fpu_task *guest, u64 xfd);

/* These of its user components become initial, as INIT does to a CPU's (entry 38). Entered or not, as above. */
void fpu_guest_init(struct fpu_task *guest, u64 components);

#endif
