/* The modelled device behind ENQCMD, and who may use it; see wq.c. */
#ifndef KERNEL_WQ_H
#define KERNEL_WQ_H

#include "kernel/types.h"
#include "user/include/tarry.h"

struct wq_client;

/* True if a portal is at the address in the running task's memory, and it may write there. Interrupts on. */
bool wq_portal_at(u64 address);

/*
 * The device gets a command, with its PASID in it: true if it takes it, false if its queue is full. All that the
 * command does has been done then. Preemptible, interrupts on.
 */
bool wq_submit(const struct tarry_descriptor *command);

/*
 * #GP in user mode, whatever the instruction: trying again tells. True if the running thread had no PASID and its
 * process has one: it has it now, and is to try again (seed 003; Linux's try_fixup_enqcmd_gp). False: the #GP is a
 * real one. Preemptible, interrupts on.
 */
bool pasid_populate(void);

/* The client's address space is gone: the device knows its PASID no longer. NULL: it had none. */
void wq_leave(struct wq_client *client);

/* Commands with a PASID that was nobody's, since boot. */
u64 wq_strays(void);

#endif
