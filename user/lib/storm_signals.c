/*
 * storm_signals.c - the signals that the storm's tasks send each other at any moment: the handler leaves nothing in
 * any register as it was, and has PKRU all open; what comes back with rt_sigreturn must be the pattern.
 */
#include <sigcontext.h>
#include <storm.h>
#include <xstate.h>

#define MXCSR_JUNK	0x7fbfu

#define EACH(op)	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) \
			op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define SPOIL_YMM(n)	"vcmptrueps %%ymm" #n ", %%ymm" #n ", %%ymm" #n "\n"
#define SPOIL_XMM(n)	"pcmpeqd %%xmm" #n ", %%xmm" #n "\n"
#define ALL_XMM		"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
			"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void spoil(int signal)
{
	uint32_t features = storm_self()->features, mxcsr = MXCSR_JUNK;

	(void)signal;
	__atomic_fetch_add(&storm_shared->signals, 1, __ATOMIC_SEQ_CST);
	if (features & STORM_AVX)
		__asm__ volatile(EACH(SPOIL_YMM) : : : ALL_XMM);
	else
		__asm__ volatile(EACH(SPOIL_XMM) : : : ALL_XMM);
	if (features & STORM_PKU)
		wrpkru(0);
	__asm__ volatile("fldpi\n\tfld1\n\tfchs\n\tldmxcsr %0" : : "m"(mxcsr));
}

void storm_hear_signals(void)
{
	set_handler(SIGUSR1, spoil, SA_RESTART, 0);
}

void storm_take_signals(void)
{
	storm_shared->tids[__atomic_fetch_add(&storm_shared->ntids, 1, __ATOMIC_SEQ_CST)] = (uint32_t)gettid();
}
