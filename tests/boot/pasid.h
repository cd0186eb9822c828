/*
 * pasid.h - what pasid.c and enqcmd.c share: a program bound to the device, and ENQCMDs that may fault.
 */
#ifndef PASID_H
#define PASID_H

#include <enqcmd.h>
#include "signals.h"

enum { SI_KERNEL = 0x80, SEGV_MAPERR = 1, SEGV_ACCERR = 2, TRAP_GP = 13, TRAP_PF = 14, ENQCMD_LENGTH = 5 };
enum { ROUNDS = 200 };
#define RW	(PROT_READ | PROT_WRITE)

static struct tarry_portal memory __attribute__((aligned(64)));
static struct tarry_completion record __attribute__((aligned(32)));
static const volatile struct tarry_portal *portal;
static struct tarry_descriptor command;

static inline struct tarry_stats now(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static inline void bind(void)
{
	long address = pasid_bind();

	EXPECT(address > 0 && address % PAGE_SIZE == 0);
	portal = (const volatile struct tarry_portal *)address;
	command = noop_command(&record);
}

static inline void submit(void)
{
	enqcmd_wait(portal, &command);
}

/* The instruction that faulted is left out. */
static uint64_t insn_length = ENQCMD_LENGTH;

static inline void skip_insn(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->rip += insn_length;
}

/* One ENQCMD: the signal that it raised, or 0. */
static inline int try(const volatile void *to, const void *from)
{
	reset();
	set_handler(SIGSEGV, skip_insn, 0, 0);
	__asm__ volatile("enqcmd (%0), %1" : : "a"(from), "c"(to) : "memory", "cc");
	return last_signal;
}

static inline void expect_protection(int signal)
{
	EXPECT_EQ(signal, SIGSEGV);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, SI_KERNEL);
	EXPECT_EQ(last_info.address, 0);
	EXPECT_EQ(last_context.trap, TRAP_GP);
	EXPECT_EQ(last_context.error, 0);
}

static inline void expect_page_fault(int signal, int code, uint64_t address, uint64_t error)
{
	EXPECT_EQ(signal, SIGSEGV);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, code);
	EXPECT_EQ(last_info.address, address);
	EXPECT_EQ(last_context.trap, TRAP_PF);
	EXPECT_EQ(last_context.error & 6, error);
}

/* The test in a child of its own, whose PASID ends with it. */
#define IN_CHILD(name, f)						\
	static void test_##name(void)					\
	{								\
		if (pasid_bind() < 0)					\
			SKIP("no PASID: native, and no CPU has it");	\
		EXPECT_EQ(ktap_child(f), 0);				\
	}

#endif
