/*
 * crash KIND - dies in the requested way, to see what the kernel makes of it. The kinds
 * are in the table below.
 */
#include <lib.h>

static volatile char sink;

static void touch(uint64_t address)
{
	sink = *(volatile char *)address;
}

static void crash_null(void) { touch(0); }
static void crash_kernel(void) { touch(0xffffffff80000000); }
static void crash_noncanonical(void) { touch(0x8000000000000000); }
static void crash_ud(void) { __asm__ volatile("ud2"); }
static void crash_gp(void) { __asm__ volatile("hlt"); }
static void crash_int3(void) { __asm__ volatile("int3"); }

static void crash_div(void)
{
	__asm__ volatile("xorl %%ecx, %%ecx; xorl %%edx, %%edx; movl $1, %%eax; divl %%ecx"
			 : : : "eax", "ecx", "edx");
}

static void crash_nx(void)
{
	static char code[16] = { (char)0xc3 };		/* ret, in the data */

	__asm__ volatile("call *%0" : : "r"(code) : "memory");
}

static void crash_text(void)
{
	*(volatile char *)(uintptr_t)crash_nx = 0;
}

static void crash_stack(void)
{
	__asm__ volatile("1: pushq %rax; jmp 1b");
}

static const struct {
	const char *name;
	void (*function)(void);
} kinds[] = {
	{ "null", crash_null }, { "kernel", crash_kernel },
	{ "noncanonical", crash_noncanonical }, { "ud", crash_ud }, { "div", crash_div },
	{ "gp", crash_gp }, { "int3", crash_int3 }, { "exec-nx", crash_nx }, { "text", crash_text },
	{ "stack", crash_stack },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			kinds[i].function();
	dprintf(2, "usage: crash KIND, one of:");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		dprintf(2, " %s", kinds[i].name);
	dprintf(2, "\n");
	return 2;
}
