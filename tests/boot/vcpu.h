/*
 * vcpu.h - guests for the tests: the code that they run, copied from this program into each, and a page of memory that
 * guest and owner share.
 */
#ifndef VCPU_H
#define VCPU_H

#include "ktap.h"

enum {
	CODE = 0x10000000, DATA = 0x20000000, NOWHERE = 0x30000000, DONE = 7,
	EXC_DIVIDE = 0, EXC_DEBUG = 1, EXC_BREAKPOINT = 3, EXC_UNDEFINED = 6, EXC_NO_FPU = 7, EXC_PROTECTION = 13,
	EXC_PAGE_FAULT = 14, PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_FETCH = 16, PF_KEY = 32,
};

#define GUEST_CALL(number)	"movl $" #number ", %eax\n syscall\n"
#define GUEST_DONE		GUEST_CALL(7) "ud2\n"

/*
 * RDI points to the guest's data.
 * compute: RSI steps of x = x * a + b, four of each.
 * keep: all registers get the pattern there, RSI hypercalls with number R12 are made, the registers go back there.
 */
__asm__(".pushsection .text.guest, \"ax\"\n"
	".balign 4096\n"
	"guest_code:\n"
	"guest_compute:\n"
	"vmovupd (%rdi), %ymm0\n vmovupd 32(%rdi), %ymm1\n vmovupd 64(%rdi), %ymm2\n"
	"1: vmulpd %ymm1, %ymm0, %ymm0\n vaddpd %ymm2, %ymm0, %ymm0\n"
	"decq %rsi\n jnz 1b\n"
	"vmovupd %ymm0, 96(%rdi)\n" GUEST_DONE
	"guest_keep:\n"
	".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu \\n*32(%rdi), %ymm\\n\n .endr\n"
	"1: movq %r12, %rax\n syscall\n"
	"decq %rsi\n jnz 1b\n"
	".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %ymm\\n, 1024+\\n*32(%rdi)\n .endr\n" GUEST_DONE
	"guest_hold:\n"
	".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu \\n*32(%rdi), %ymm\\n\n .endr\n"
	"1: incq 1024(%rdi)\n jmp 1b\n"
	"guest_done: " GUEST_DONE
	"guest_int80: int $0x80\n ud2\n"
	"guest_spin: jmp guest_spin\n"
	"guest_ud: ud2\n"
	"guest_divide: xorl %ecx, %ecx\n divl %ecx\n"
	"guest_halt: hlt\n"
	"guest_int3: int3\n"
	"guest_read: movq (%rdi), %rbx\n" GUEST_DONE
	"guest_write: movq %rsi, (%rdi)\n" GUEST_DONE
	"guest_push: push %rax\n ud2\n"
	"guest_jump: jmp *%rdi\n"
	/* PKRU becomes RSI; R8 what it was */
	"guest_keys: xorl %ecx, %ecx\n rdpkru\n movq %rax, %r8\n"
	"movq %rsi, %rax\n xorl %ecx, %ecx\n xorl %edx, %edx\n wrpkru\n"
	"movq (%rdi), %r9\n" GUEST_DONE
	/* all tiles have the pattern at RDI, 64 after the configuration; RSI is the stride */
	"guest_tiles: ldtilecfg (%rdi)\n"
	"guest_tile: tileloadd 64(%rdi,%rsi), %tmm0\n" GUEST_DONE
	"guest_store: tilestored %tmm0, 2048(%rdi,%rsi)\n" GUEST_DONE
	"guest_xfd: movl $0x2002, %eax\n syscall\n movq %rax, %r8\n" GUEST_DONE
	"guest_init: movl $0x2003, %eax\n syscall\n movq %rax, %r8\n" GUEST_DONE
	"guest_enqcmd: enqcmd (%rdi), %rsi\n" GUEST_DONE
	"guest_bases: rdfsbase %r8\n rdgsbase %r9\n" GUEST_DONE
	".balign 4096\n"
	"guest_end: .popsection");

extern const char guest_code[], guest_end[], guest_compute[], guest_keep[], guest_hold[], guest_done[], guest_int80[],
	guest_spin[], guest_ud[], guest_divide[], guest_halt[], guest_int3[], guest_read[], guest_write[], guest_push[],
	guest_jump[], guest_keys[], guest_tiles[], guest_tile[], guest_store[], guest_xfd[], guest_init[],
	guest_enqcmd[], guest_bases[];

struct guest {
	long fd;
	uint8_t *data;			/* the owner's view of the page at DATA */
	struct tarry_vcpu_regs regs;
	struct tarry_vcpu_exit exit;
};

static inline long give(long fd, uint64_t address, const volatile void *source, uint64_t size, uint32_t prot)
{
	struct tarry_vcpu_memory m = { address, size, (uint64_t)source, prot, 0 };

	return vcpu_memory(fd, &m);
}

static inline uint64_t guest_address(const char *label)
{
	return CODE + (uint64_t)(label - guest_code);
}

/* Ready to run from the label, RDI pointing to its data. */
static inline void guest_aim(struct guest *g, const char *label)
{
	g->regs = (struct tarry_vcpu_regs){ .rip = guest_address(label), .rdi = DATA };
}

static inline void guest_make(struct guest *g, const char *label)
{
	g->fd = vcpu_create();
	EXPECT(g->fd >= 0);
	g->data = (uint8_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(g->data, 0, PAGE_SIZE);
	EXPECT_EQ(give(g->fd, CODE, guest_code, (uint64_t)(guest_end - guest_code), PROT_READ | PROT_EXEC), 0);
	EXPECT_EQ(give(g->fd, DATA, g->data, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	guest_aim(g, label);
}

static inline void guest_end_of(struct guest *g)
{
	EXPECT_EQ(close((int)g->fd), 0);
	munmap(g->data, PAGE_SIZE);
}

/* The info of the exit, which must say the same. */
static inline long guest_exit(struct guest *g, long result)
{
	EXPECT_EQ(vcpu_exit_info(g->fd, &g->exit), 0);
	EXPECT_EQ(g->exit.reason, result < 0 ? 0 : result);
	return result;
}

/* From its registers in regs until it exits; the owner may be interrupted at any time. */
static inline long guest_run(struct guest *g)
{
	long result = vcpu_run(g->fd, &g->regs, 0);

	while (result == TARRY_VCPU_INTERRUPTED)
		result = vcpu_run(g->fd, NULL, 0);
	return guest_exit(g, result);
}

#define NEED_VCPU() do {						\
	if (!on_tarry())						\
		SKIP("guests are Tarry's own");				\
} while (0)

/* Of a program that has registers.h. */
#define NEED_AVX() do {							\
	NEED_VCPU();							\
	if (!avx)							\
		SKIP("no AVX");						\
} while (0)

#endif
