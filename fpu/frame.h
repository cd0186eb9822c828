/*
 * The part of a signal frame that holds x87, SSE and everything later: a standard-format XSAVE image with Linux's
 * descriptor in the legacy region's unused bytes, and a magic word behind it. All that is known of that layout is in
 * frame.c. Called by the running task for itself, preemptible.
 */
#ifndef FPU_FRAME_H
#define FPU_FRAME_H

#include "fpu/context.h"

/* Bytes in the frame with these user components. It must lie at a multiple of 64. */
u32 fpu_frame_size(u64 features);
/* With those of the task; 0: it has no registers. */
u32 fpu_frame_size_of(const struct fpu_task *task);

/* The frame's bytes with the task's current values; NULL when memory is out. The registers stay the task's. */
void *fpu_frame_make(struct fpu_task *task);
void fpu_frame_free(void *image);
/* Puts it where the frame is to be, component by component: 0, -EFAULT. */
long fpu_frame_write(u64 address, void *image);

/*
 * A copy of the user's frame, checked: 0, -EFAULT if it can't be read, -EINVAL if its header is not one that user code
 * may ask for, -ENOMEM. A frame that is not recognised as an extended one counts as one with x87 and SSE only.
 */
long fpu_frame_read(u64 address, void **image);

/* The handler's registers: initial, with the default PKRU. */
void fpu_frame_handler(struct fpu_task *task);
/* Those of the checked image; no image: initial. pkru counts for an integer-only task, whose frame has no image. */
void fpu_frame_return(struct fpu_task *task, const void *image, u32 pkru);

/* The si_code of the SIGFPE for an x87 or a SIMD exception: what is raised and not masked. 0: nothing is. */
int fpu_frame_fault_code(struct fpu_task *task, bool simd);

/*
 * All keys are open from here on, for the kernel's access to the frame, and nobody else may change the task's state;
 * what they were, to be put back. fpu_frame_handler and fpu_frame_return end that, too.
 */
u32 fpu_frame_open_keys(struct fpu_task *task);
void fpu_frame_close_keys(struct fpu_task *task, u32 keys);
u32 fpu_frame_keys(void);
/*
 * The keys of any task, as it had them when it last left its CPU. False while a signal frame has them open: it must be
 * asked again. Under the lock that keeps the task on its CPU or off it.
 */
bool fpu_published_keys(const struct fpu_task *task, u32 *keys);

#endif
