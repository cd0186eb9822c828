/*
 * The guest of rare.h. It lives in pages of its own and multiplies in XMM15, where its owner keeps something else
 * meanwhile. Its last hypercall is one that the kernel does not know, and so the end of the run.
 */
#include <rare.h>

enum { CODE = 0x10000000, DATA = 0x20000000 };

__asm__(".pushsection .text.guest, \"ax\"\n"
	".balign 4096\n"
	"guest_code: movsd (%rdi), %xmm15\n"
	"1: mulsd 8(%rdi), %xmm15\n"
	"movl $0x2000, %eax\n syscall\n"
	"decq %rsi\n jnz 1b\n"
	"movsd %xmm15, (%rdi)\n"
	"xorl %eax, %eax\n syscall\n ud2\n"
	".balign 4096\n"
	".popsection");
extern const char guest_code[];

static long give(long guest, uint64_t address, const volatile void *source, uint32_t prot)
{
	struct tarry_vcpu_memory memory = { address, PAGE_SIZE, (uint64_t)source, prot, 0 };

	return vcpu_memory(guest, &memory);
}

long make_guest(struct guest_sum *sum)
{
	long guest = vcpu_create(), error;

	if (guest < 0)
		return guest;
	error = give(guest, CODE, guest_code, PROT_READ | PROT_EXEC);
	if (!error)
		error = give(guest, DATA, sum, PROT_READ | PROT_WRITE);
	if (!error)
		return guest;
	close((int)guest);
	return error;
}

/* The owner's value is in its register from the call to the return. */
static long enter(long guest, const struct tarry_vcpu_regs *regs, double *kept)
{
	register long budget __asm__("rdx") = 0;
	long result;

	__asm__ volatile("movsd %1, %%xmm15\n\tsyscall\n\tmovsd %%xmm15, %1"
			 : "=a"(result), "+m"(*kept)
			 : "a"((long)TARRY_SYS_VCPU_RUN), "D"(guest), "S"(regs), "r"(budget)
			 : "rcx", "r11", "xmm15", "memory");
	return result;
}

long run_guest(long guest, uint64_t steps, double *kept)
{
	struct tarry_vcpu_regs regs = { .rip = CODE, .rdi = DATA, .rsi = steps };
	long result = enter(guest, &regs, kept);

	while (result == TARRY_VCPU_INTERRUPTED)
		result = enter(guest, NULL, kept);
	return result;
}
