/*
 * The choice between the vector forms of ChaCha20, once at boot. CPUID alone does not allow AVX2: XCR0 must
 * have its state, or the instructions are invalid opcodes and a switch would not save what they use.
 */
#include "fpu/insn.h"
#include "fpu/xstate.h"
#include "kernel/crypto/best.h"
#include "kernel/insn.h"
#include "kernel/log.h"

#define CPUID1_ECX_AVX BIT(28)
#define CPUID7_EBX_AVX2 BIT(5)
#define AVX_STATE (XFM(XF_SSE) | XFM(XF_AVX))

struct crypto_best crypto_best = { "SSE2", chacha20_xor_sse2 };

static bool avx2_allowed(void)
{
	return cpuid(0, 0).eax >= 7 && cpuid(1, 0).ecx & CPUID1_ECX_AVX && cpuid(7, 0).ebx & CPUID7_EBX_AVX2 &&
	       (xgetbv(0) & AVX_STATE) == AVX_STATE;
}

void crypto_init(void)
{
	if (avx2_allowed())
		crypto_best = (struct crypto_best){ "AVX2", chacha20_xor_avx2 };
	klog("crypto: ChaCha20 with %s in kernel FPU sections", crypto_best.name);
}
