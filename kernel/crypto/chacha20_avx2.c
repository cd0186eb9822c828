/* ChaCha20 with AVX2, eight blocks at once. Only between kernel_fpu_begin and kernel_fpu_end. */
#define LANES 8
#define CHACHA20_XOR chacha20_xor_avx2
#include "kernel/crypto/chacha20_vector.h"
