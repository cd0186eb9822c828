/*
 * enqcmd.h - commands for the device behind ENQCMD (pasid_bind in tarry.h). Nothing here binds, waits for a
 * completion record, or handles the SIGSEGV of a program that is not bound.
 */
#ifndef ENQCMD_H
#define ENQCMD_H

#include <lib.h>

/* Once: nonzero if the queue was full, or if no device is there. The portal must be aligned to 64. */
static inline int enqcmd(const volatile void *portal, const struct tarry_descriptor *command)
{
	int retry;

	__asm__ volatile("enqcmd (%1), %2" : "=@ccz"(retry) : "r"(command), "r"(portal) : "memory");
	return retry;
}

/* Until it is accepted. */
static inline void enqcmd_wait(const volatile struct tarry_portal *portal, const struct tarry_descriptor *command)
{
	while (enqcmd(portal, command))
		sched_yield();
}

/* A command whose outcome is written to record, which is aligned to 32. */
static inline struct tarry_descriptor noop_command(struct tarry_completion *record)
{
	return (struct tarry_descriptor){
		.operation = TARRY_WQ_NOOP << TARRY_WQ_OPCODE | TARRY_WQ_ADDRESS_VALID | TARRY_WQ_REPORT,
		.completion = (uint64_t)record,
	};
}

#endif
