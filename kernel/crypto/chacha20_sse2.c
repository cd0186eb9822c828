/* ChaCha20 with SSE2, four blocks at once. Only between kernel_fpu_begin and kernel_fpu_end. */
#define LANES 4
#define CHACHA20_XOR chacha20_xor_sse2
#include "kernel/crypto/chacha20_vector.h"
