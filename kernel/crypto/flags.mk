# kernel/crypto/flags.mk - how the kernel's vector code is compiled. Included by the top Makefile behind
# KERNEL_CFLAGS.
#
# Only kernel/crypto/*_sse2.c and *_avx2.c may use vector registers, and never the x87. Their callers keep the
# stack aligned to 8 bytes, as the whole kernel does; vectors that are spilled need 16 or 32, so these files
# align their own frames.

VECTOR_CFLAGS := $(filter-out -mgeneral-regs-only -mpreferred-stack-boundary=3,$(KERNEL_CFLAGS)) \
	-mno-80387 -mno-mmx -mpreferred-stack-boundary=4 -mincoming-stack-boundary=3

$(BUILD)/kernel/crypto/%_sse2.o: KERNEL_CFLAGS := $(VECTOR_CFLAGS) -msse2 -mno-sse3
$(BUILD)/kernel/crypto/%_avx2.o: KERNEL_CFLAGS := $(VECTOR_CFLAGS) -mavx2

$(patsubst %.c,$(BUILD)/%.o,$(wildcard kernel/crypto/*_sse2.c kernel/crypto/*_avx2.c)): kernel/crypto/flags.mk
