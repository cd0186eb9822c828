/* What the debug call computes inside a kernel FPU section; see environment.c. */
#ifndef FPU_ENVIRONMENT_H
#define FPU_ENVIRONMENT_H

#include "kernel/types.h"

/* The bits of 1.0 / 10.0, computed with SSE or with the x87 in a kernel FPU section. */
u64 fpu_tenth_sse(void);
u64 fpu_tenth_x87(void);

#endif
