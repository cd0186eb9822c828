/*
 * Set-up of one CPU: descriptor tables, the stacks for exceptions that can't trust the current one, the
 * SYSCALL registers, and the protections in CR4. FPU registers are fpu/'s business.
 */
#include "kernel/cpu.h"
#include "kernel/insn.h"
#include "kernel/ldt.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"

#define GDT_KERNEL_CODE 0x00209a0000000000ul
#define GDT_DATA 0x0000920000000000ul
#define GDT_USER_CODE32 0x00cffa000000fffful
#define GDT_USER_DATA 0x00cff2000000fffful /* 64-bit code does not look at the limit */
#define GDT_USER_CODE 0x0020fa0000000000ul
#define GDT_TSS 0x0000890000000000ul

/* SYSCALL loads CS from bits 47:32 (SS = +8), SYSRET CS = bits 63:48 + 16 and SS = + 8. */
#define STAR_VALUE ((u64)(USER_CS - 16) << 48 | (u64)KERNEL_CS << 32)

extern void syscall_entry(void), syscall_entry_watched(void), syscall32_entry(void);

#define CPU_ORDER 0	   /* pages of a struct cpu, as a power of two */
#define IST_STACKS_ORDER 3 /* of its stacks for exceptions */

_Static_assert(sizeof(struct cpu) <= PAGE_SIZE << CPU_ORDER, "CPU_ORDER");
_Static_assert(IST_COUNT * IST_STACK_SIZE == PAGE_SIZE << IST_STACKS_ORDER, "IST_STACKS_ORDER");

static char boot_ist_stacks[IST_COUNT * IST_STACK_SIZE] __attribute__((aligned(IST_STACK_SIZE)));

struct cpu boot_cpu = { .online = true, .mm = &kernel_mm, .ist_stacks = boot_ist_stacks };
struct cpu *cpus[MAX_CPUS] = { &boot_cpu };
u32 ncpus = 1;
struct cpu_features cpu_features;

struct cpu *cpu_create(u32 id)
{
	struct page *page = page_alloc_order(CPU_ORDER), *stacks = page_alloc_order(IST_STACKS_ORDER);
	struct cpu *cpu;

	if (!page || !stacks) {
		if (page)
			page_free_order(page, CPU_ORDER);
		if (stacks)
			page_free_order(stacks, IST_STACKS_ORDER);
		return NULL;
	}
	cpu = memset(page_address(page), 0, sizeof(*cpu));
	cpu->ist_stacks = page_address(stacks);
	cpu->mm = &kernel_mm;
	cpu->id = id;
	cpu->fpu.id = (s32)id;
	return cpu;
}

static void init_tss(struct cpu *cpu)
{
	for (u32 i = 0; i < IST_COUNT; i++) {
		u64 *top = (u64 *)(cpu->ist_stacks + (i + 1) * IST_STACK_SIZE);

		top[-1] = (u64)cpu; /* entry.asm finds the CPU here */
		cpu->tss.ist[i] = (u64)(top - 2);
	}
	cpu->tss.iomap_base = sizeof(struct tss);
}

static void init_gdt(struct cpu *cpu)
{
	u64 base = (u64)&cpu->tss;
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(cpu->gdt) - 1, (u64)cpu->gdt };

	cpu->gdt[KERNEL_CS / 8] = GDT_KERNEL_CODE;
	cpu->gdt[KERNEL_SS / 8] = GDT_DATA;
	cpu->gdt[USER_CS32 / 8] = GDT_USER_CODE32;
	cpu->gdt[USER_SS / 8] = GDT_USER_DATA;
	cpu->gdt[USER_CS / 8] = GDT_USER_CODE;
	cpu->gdt[TSS_SELECTOR / 8] = GDT_TSS | (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 |
				     (base >> 24 & 0xff) << 56;
	cpu->gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	asm volatile("lgdt %0\n\t"
		     "pushq %1\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n"
		     "1:\tmov %2, %%ss\n\t"
		     "ltr %w3\n\t"
		     "lldt %w4" /* a CPU starts with one of 64 KiB at address 0, where LAR would look */
		     :
		     : "m"(pointer), "i"(KERNEL_CS), "r"(KERNEL_SS), "r"(TSS_SELECTOR), "r"(0)
		     : "rax", "memory");
}

static struct cpu_features read_features(void)
{
	struct cpuid_regs leaf7 = cpuid(7, 0);

	return (struct cpu_features){
		.fsgsbase = leaf7.ebx & BIT(0),
		.smep = leaf7.ebx & BIT(7),
		.smap = leaf7.ebx & BIT(20),
		.umip = leaf7.ecx & BIT(2),
		.pge = cpuid(1, 0).edx & BIT(13),
	};
}

bool cpu_features_equal(void)
{
	struct cpu_features own = read_features();

	return !memcmp(&own, &cpu_features, sizeof(own));
}

void cpu_watch_syscalls(bool on)
{
	if (this_cpu->watches_syscalls == on)
		return;
	this_cpu->watches_syscalls = on;
	wrmsr(MSR_LSTAR, (u64)(on ? syscall_entry_watched : syscall_entry));
}

static void init_control_registers(void)
{
	u64 cr4 = read_cr4();

	cr4 |= cpu_features.pge ? CR4_PGE : 0;
	cr4 |= cpu_features.fsgsbase ? CR4_FSGSBASE : 0;
	cr4 |= cpu_features.smep ? CR4_SMEP : 0;
	cr4 |= cpu_features.smap ? CR4_SMAP : 0;
	cr4 |= cpu_features.umip ? CR4_UMIP : 0;
	write_cr4(cr4);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, STAR_VALUE);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_CSTAR, (u64)syscall32_entry);
	wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
	wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER faults */
}

void cpu_init(struct cpu *cpu)
{
	cpu->self = cpu;
	if (cpu == &boot_cpu) {
		cpu_features = read_features();
		segments_plain = cpu_features.fsgsbase;
		if (!cpu_features.smap)
			uaccess_remove_smap();
	}
	init_tss(cpu);
	init_gdt(cpu);
	wrmsr(MSR_GS_BASE, (u64)cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	idt_load();
	init_control_registers();
	cpu->ldt = NULL; /* these shadow registers that a reset has cleared */
	cpu->watches_syscalls = false;
	cpu->selectors = ~0ul;
}

void cpu_describe(char *buf, size_t size)
{
	u32 text[13] = { 0 };
	struct cpuid_regs r = cpuid(0x80000000, 0);
	char *start = (char *)text;

	if (r.eax >= 0x80000004) {
		for (u32 i = 0; i < 3; i++) {
			r = cpuid(0x80000002 + i, 0);
			memcpy(&text[4 * i], &r, sizeof(r));
		}
	} else {
		r = cpuid(0, 0);
		text[0] = r.ebx;
		text[1] = r.edx;
		text[2] = r.ecx;
	}
	while (*start == ' ')
		start++;
	copy_string(buf, start, size);
}
