#ifndef FPU_STANDARD_H
#define FPU_STANDARD_H
#include "fpu/context.h"
u32 fpu_standard_size(void);
void fpu_standard_read(struct fpu_task *task, void *image, enum fpu_event event);
long fpu_standard_check(const void *image, u64 allowed);
void fpu_standard_write(struct fpu_task *task, const void *image, u64 components, enum fpu_event event);
void fpu_init_state(struct fpu_task *task, u32 pkru, enum fpu_event event);
#endif
