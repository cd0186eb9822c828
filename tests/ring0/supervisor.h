/* CET_S and UINTR for the model, in this proof only, and contents for all supervisor components. */
#ifndef RING0_SUPERVISOR_H
#define RING0_SUPERVISOR_H

#include "fpu/soft.h"

#define PROOF_SUPERVISOR (XFM(XF_CET_U) | XFM(XF_CET_S) | XFM(XF_UINTR))

#define UINTR_QWORDS 6

extern const struct soft_component soft_cet_s, soft_uintr;

/* Values that XRSTORS accepts, now and then all zero. with_uinv: UINV may be other than 0. */
void random_supervisor(u64 *to, u32 feature, bool with_uinv);

/* UINV := 0: XRSTORS of UINTR faults otherwise. Nothing on a CPU without UINTR. */
void clear_uinv(void);

/* Provided by proof.c. */
u64 random_word(void);

#endif
