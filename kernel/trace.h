/* The trace of register transitions and the counters, on their way out of the machine; see trace.c. */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "kernel/types.h"

/* trace on the command line: starts tracing to COM4. After the scheduler is up. */
void trace_init(void);

/* Before the machine ends: what is still in the rings, and with stats on the command line the counters. */
void trace_finish(void);

#endif
