/* In front of the kernel's fpu/cpu.h in host tests: the test says which CPU and task there are. */
#ifndef FPU_CPU_H
#define FPU_CPU_H

#include "fpu/context.h"

#define TASK_NEED_FPU_LOAD BIT(1)
#define FPU_POINT() ((void)0)

struct fpu_cpu *fpu_this_cpu(void);
struct fpu_task *fpu_current(void);

#endif
