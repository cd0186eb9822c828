/* Boot-time set-up, and the few things that fpu/ needs of the kernel around it. Host tests bring their own. */
#ifndef FPU_SETUP_H
#define FPU_SETUP_H

#include "fpu/context.h"

/* What a new program starts with: key 0 open, all others closed. Not the architectural initial value, 0. */
#define PKRU_DEFAULT 0x55555554

/* An XSAVE area, aligned; not cleared. NULL when memory is out. */
struct xsave_area *fpu_area_alloc(u32 size);
void fpu_area_free(struct xsave_area *area);

/* Stops the kernel. */
void fpu_broken(const char *why) __attribute__((noreturn));

/* The same for a transition that transitions.def does not know, with the story of how the context got there. */
void fpu_illegal_transition(const struct fpu_context *context, const struct fpu_step *step) __attribute__((noreturn));

/* image.c: takes the image that fpu_image_load_init loads, and prepares counting. fpu_config is complete by then. */
void fpu_image_prepare(struct xsave_area *init_image);

/* Names of states and events. */
extern const char *const fpu_state_names[FPU_STATES], *const fpu_event_names[FPU_EVENTS];

/* What transitions.def says in words. Nothing in the kernel reads it: it is there for GDB, which has the ELF file. */
struct fpu_rule {
	u8 event, from, to;
	const char *policies, *source, *reason;
};
extern const struct fpu_rule fpu_rules[];
extern const char *const fpu_event_texts[FPU_EVENTS];
extern const u32 fpu_load_flag; /* TASK_NEED_FPU_LOAD */

#endif
