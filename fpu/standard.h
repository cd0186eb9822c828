/*
 * The doors to a task's registers, for signal frames and debuggers: a whole image in the standard format, all enabled
 * user components and PKRU, read and written. For the running task, or for a stopped one that is on no CPU and stays
 * so; its registers may be cached on any. Must never show or take supervisor state, nor a byte that nobody wrote.
 */
#ifndef FPU_STANDARD_H
#define FPU_STANDARD_H

#include "fpu/context.h"

/* Bytes of an image of all components; it must be aligned as an XSAVE area. */
u32 fpu_standard_size(void);
/* And of those that the task has room for. */
u32 fpu_standard_size_of(const struct fpu_task *task);

/* The user components that the task has room for: all but those that it has not used yet and XFD disables. */
u64 fpu_standard_features(const struct fpu_task *task);

/*
 * Every byte is defined: components in their initial state have its bytes, reserved ones are 0, XSTATE_BV names those
 * in use, PKRU if it is not 0. An integer-only task has PKRU alone.
 */
void fpu_standard_read(struct fpu_task *task, void *image, enum fpu_event event);
/* The same, as long as an image of the task's own components. */
void fpu_standard_read_own(struct fpu_task *task, void *image, enum fpu_event event);

/* 0 if the image may be written, naming components of allowed only; else -EINVAL. */
long fpu_standard_check(const void *image, u64 allowed);

/*
 * An image that has been checked and that nobody can change any more. Of the user components those that XSTATE_BV and
 * components both name get its values, the others become initial, PKRU too; MXCSR goes with SSE or AVX. Supervisor
 * components keep theirs; one that the task has no room for is passed over.
 */
void fpu_standard_write(struct fpu_task *task, const void *image, u64 components, enum fpu_event event);

/* The running task's user components become initial, and its PKRU that. Supervisor components keep their values. */
void fpu_init_state(struct fpu_task *task, u32 pkru, enum fpu_event event);

#endif
