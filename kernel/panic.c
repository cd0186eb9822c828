/*
 * Panic: the last words of the kernel. Stops the other CPUs, prints what happened, the registers, and a
 * backtrace by frame pointers with symbol names; then ends the machine. Must work with any lock held and any
 * memory broken, so it takes no lock, allocates nothing, and reads the stack only where it is mapped.
 */
#include "kernel/bootinfo.h"
#include "kernel/format.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/serial.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "sched/task.h"

#define MAX_FRAMES 24

extern char text_start[], text_end[];

static bool mapped(u64 va)
{
	u64 *pte;

	if (!kernel_pml4 || va < DIRECT_MAP || va % 8)
		return false;
	pte = table_entry(kernel_pml4, va, 1, NULL, NULL);
	return pte && *pte & PTE_PRESENT;
}

/* The module "symbols" is the output of nm -n: lines of 16 hex digits, blank, type, blank, name. */
void symbol_name(u64 address, char *buf, size_t size)
{
	const struct boot_module *module = boot_module("symbols");
	const char *best = NULL, *at, *end;
	u64 best_value = 0;

	format_text(buf, size, "(no symbol)");
	if (!module || address < (u64)text_start || address >= (u64)text_end)
		return;
	at = phys_to_virt(module->range.start);
	end = phys_to_virt(module->range.end);
	while (at + 19 < end) {
		const char *line_end = at;
		u64 value = 0;

		for (int i = 0; i < 16; i++)
			value = value << 4 | (u64)(at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10);
		while (line_end < end && *line_end != '\n')
			line_end++;
		if (value > address)
			break;
		best = at + 19;
		best_value = value;
		at = line_end + 1;
	}
	if (!best)
		return;
	for (at = best; at < end && *at != '\n';)
		at++;
	format_text(buf, size, "%.*s+0x%lx", (int)(at - best), best, (address - best_value));
}

static void log_frame(u64 rip)
{
	char name[80];

	symbol_name(rip, name, sizeof(name));
	klog("panic:   %016lx %s", rip, name);
}

static void log_backtrace(u64 rip, u64 rbp)
{
	klog("panic: backtrace, innermost first:");
	if (rip)
		log_frame(rip);
	for (int i = 0; i < MAX_FRAMES && mapped(rbp) && mapped(rbp + 8); i++) {
		const u64 *frame = (const u64 *)rbp;

		log_frame(frame[1]);
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
}

void log_regs(const struct regs *r)
{
	klog("  rip %016lx  rsp %016lx  rflags %lx  cs %lx  ss %lx", r->rip,
	     r->rsp, r->rflags, r->cs, r->ss);
	klog("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx", r->rax, r->rbx,
	     r->rcx, r->rdx);
	klog("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx", r->rsi, r->rdi,
	     r->rbp, r->r8);
	klog("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx", r->r9, r->r10,
	     r->r11, r->r12);
	klog("  r13 %016lx  r14 %016lx  r15 %016lx  error %lx", r->r13, r->r14,
	     r->r15, r->orig_rax);
	klog("  cr2 %016lx  cr3 %016lx  cr4 %lx", read_cr2(), read_cr3(),
	     read_cr4());
}

/* One CPU ends the machine. Another one that wants to as well waits to be stopped. */
static void have_the_last_word(void)
{
	static u32 speaker; /* id + 1 */
	u32 nobody = 0, self = this_cpu->id + 1;

	irq_disable();
	if (!__atomic_compare_exchange_n(&speaker, &nobody, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
	    speaker != self)
		for (;;)
			asm volatile("hlt");
	log_take_over();
	smp_stop_others();
}

static void begin_panic(const char *fmt, va_list args)
{
	char text[200];

	have_the_last_word();
	format_text_va(text, sizeof(text), fmt, args);
	klog("panic: %s", text);
	if (current)
		klog("panic: CPU %u, task %d (%s), preemption count %u", this_cpu->id, current->tid, current->name,
		     this_cpu->preempt_count);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	begin_panic(fmt, args);
	log_backtrace(0, (u64)__builtin_frame_address(0));
	power_off_panic();
}

void panic_regs(const struct regs *regs, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	begin_panic(fmt, args);
	log_regs(regs);
	log_backtrace(regs->rip, regs->rbp);
	power_off_panic();
}

/*
 * QEMU's isa-debug-exit takes the value at port F4h; Bochs ends on the word "Shutdown" at port 8900h.
 * Real hardware has neither and just stops.
 */
static void end_machine(u32 value)
{
	serial_drain();
	outl(0xf4, value);
	for (const char *c = "Shutdown"; *c; c++)
		outb(0x8900, (u8)*c);
	for (;;)
		asm volatile("hlt");
}

void power_off(int status)
{
	have_the_last_word();
	klog("power-off: status %d", status);
	end_machine(0x10);
	__builtin_unreachable();
}

void power_off_panic(void)
{
	klog("power-off: panic");
	end_machine(0x20);
	__builtin_unreachable();
}
