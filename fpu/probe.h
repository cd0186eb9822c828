/* Whether XSAVES and XRSTORS do what CPUID promises; see probe.c. */
#ifndef FPU_PROBE_H
#define FPU_PROBE_H

#include "fpu/xstate.h"

/*
 * Tries them on the x87 state. area: at least XSAVE_EXTENDED bytes, aligned. XCR0 must be set, CR0.TS clear;
 * x87 state is initial afterwards. The handlers of #GP and #UD must obey the exception table.
 */
bool xsaves_works(const struct xstate_layout *layout, struct xsave_area *area);

#endif
