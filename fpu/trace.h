/*
 * The trace's hooks: one test where tracing is off. The ring and its way out are in kernel/trace.c. Called
 * where the verbs may be called.
 */
#ifndef FPU_TRACE_H
#define FPU_TRACE_H

#include "fpu/context.h"

extern bool fpu_tracing;

/* A context has changed state; moved: components saved or loaded on the way. */
void fpu_trace_transition(struct fpu_cpu *cpu, const struct fpu_context *context, const struct fpu_step *step,
			  u64 moved);

/* One component of a context has been changed, or will be. */
void fpu_trace_update(struct fpu_cpu *cpu, const struct fpu_context *context, u32 feature, enum fpu_found found,
		      enum fpu_ending ending);

/* The registers have become the kernel's, initial, or nobody's. */
void fpu_trace_owner(struct fpu_cpu *cpu);

#endif
