/*
 * What Linux's selftests expect of the C library's headers, for musl, whose headers lack it. Given with -include, to
 * sources that stay as they are. The layouts are Linux's (arch/x86/include/uapi/asm/sigcontext.h). Nothing here may
 * change what a test does.
 */
#ifndef ABI_SELFTESTS_H
#define ABI_SELFTESTS_H
#ifndef __ASSEMBLER__

#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef __GLIBC__
#undef PTHREAD_STACK_MIN
#define PTHREAD_STACK_MIN 16384
#undef SIGSTKSZ
#define SIGSTKSZ 65536

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define FP_XSTATE_MAGIC1 0x46505853U
#define FP_XSTATE_MAGIC2 0x46505845U

struct _fpx_sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xstate_bv;
	uint32_t xstate_size, padding[7];
};
#endif

#endif
#endif
