/*
 * The machine under the proof: just enough of one to run FPU instructions, survive the faults that have an
 * entry in the exception table, and report. Any other fault ends the run with a panic line.
 */
#include "kernel/format.h"
#include "kernel/insn.h"
#include "kernel/serial.h"
#include "kernel/string.h"
#include "tests/ring0/machine.h"

#define CR0_MP BIT(1)
#define CR0_EM_TS (BIT(2) | BIT(3))
#define CR0_NE BIT(5)
#define CR4_PKE BIT(22)
#define CR4_UINTR BIT(25)
#define CPUID1_ECX_XSAVE BIT(26)
#define CPUID7_ECX_PKU BIT(3)
#define CPUID7_EDX_UINTR BIT(5)
#define KERNEL_CS 8
#define GATE_INTERRUPT 0x8e
#define EXCEPTIONS 32
#define DEBUG_EXIT_PORT 0xf4
#define SHUTDOWN_PORT 0x8900
#define FAILURES_SHOWN 5

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};

struct extable_entry {
	u64 instruction, fixup;
};

extern const struct extable_entry extable_start[], extable_end[];
extern const u64 fault_stubs[EXCEPTIONS];
void fault(u64 vector, u64 *rip);

static struct gate idt[EXCEPTIONS];
static u32 tests, failed_tests, failures;

static void print(enum serial_port port, const char *fmt, va_list args)
{
	char line[200];
	int n = format_text_va(line, sizeof(line) - 1, fmt, args);

	n = MIN(n, (int)sizeof(line) - 2);
	line[n++] = '\n';
	serial_write(port, line, (size_t)n);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(COM1, fmt, args);
	va_end(args);
}

void fail(const char *fmt, ...)
{
	va_list args;

	if (++failures > FAILURES_SHOWN)
		return;
	serial_write(COM1, "# ", 2);
	va_start(args, fmt);
	print(COM1, fmt, args);
	va_end(args);
}

void end_test(const char *name)
{
	if (failures > FAILURES_SHOWN)
		say("# %u more failures", failures - FAILURES_SHOWN);
	say("%sok %u - %s", failures ? "not " : "", ++tests, name);
	failed_tests += failures != 0;
	failures = 0;
}

void skip_test(const char *name, const char *reason)
{
	say("ok %u - %s # SKIP %s", ++tests, name, reason);
}

/* The runner's verdict is the line on COM2. */
static void __attribute__((noreturn)) power_off(const char *verdict)
{
	static const char shutdown[] = "Shutdown";

	serial_write(COM2, verdict, strlen(verdict));
	serial_drain();
	for (const char *c = shutdown; *c; c++)
		outb(SHUTDOWN_PORT, (u8)*c);
	outl(DEBUG_EXIT_PORT, 0x10);
	for (;;)
		asm volatile("cli; hlt");
}

void machine_end(void)
{
	say("1..%u", tests);
	power_off(failed_tests ? "power-off: status 1\n" : "power-off: status 0\n");
}

void fault(u64 vector, u64 *rip)
{
	for (const struct extable_entry *e = extable_start; e < extable_end; e++)
		if (e->instruction == *rip) {
			*rip = e->fixup;
			return;
		}
	say("# exception %lu at %lx", vector, *rip);
	power_off("panic: an exception that nobody expected\npower-off: panic\n");
}

static void load_idt(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)idt };

	for (u32 i = 0; i < EXCEPTIONS; i++)
		idt[i] = (struct gate){ .offset_low = (u16)fault_stubs[i],
					.offset_middle = (u16)(fault_stubs[i] >> 16),
					.offset_high = (u32)(fault_stubs[i] >> 32),
					.selector = KERNEL_CS,
					.type = GATE_INTERRUPT };
	asm volatile("lidt %0" ::"m"(pointer));
}

void machine_init(void)
{
	struct cpuid_regs leaf7 = cpuid(7, 0);
	u64 cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;

	serial_init();
	load_idt();
	if (cpuid(1, 0).ecx & CPUID1_ECX_XSAVE)
		cr4 |= CR4_OSXSAVE;
	if (leaf7.ecx & CPUID7_ECX_PKU)
		cr4 |= CR4_PKE;
	if (leaf7.edx & CPUID7_EDX_UINTR)
		cr4 |= CR4_UINTR;
	write_cr0((read_cr0() & ~CR0_EM_TS) | CR0_MP | CR0_NE);
	write_cr4(cr4);
}
