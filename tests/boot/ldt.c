/*
 * ldt - segments of one's own: modify_ldt, and returns to user mode with any selector in the frame. Catches: a table
 * that the switch forgets to change, a child that shares its parent's, an entry that is used when it has gone (by the
 * switch, by IRET, on another CPU), 32-bit code that gets into the kernel by a door that is not guarded, an IRET that
 * the kernel doesn't survive, the upper half of a 16-bit stack's ESP.
 */
#include <stdbool.h>
#include "signals.h"
#include "threads.h"

enum { SYS_modify_ldt = 154, READ = 0, WRITE_OLD = 1, READ_DEFAULT = 2, WRITE = 0x11 };
enum { DATA = 0, CODE = 2 };

struct descriptor {
	uint32_t entry, base, limit;
	uint32_t seg_32bit : 1, contents : 2, read_exec_only : 1, limit_in_pages : 1, not_present : 1, useable : 1;
};

#define SELECTOR(entry)	((uint32_t)(entry) << 3 | 7)
#define CS32		0x23U
#define SS_FLAT		0x2bU
#define MAP_32BIT	0x40

static long write_entry(int mode, struct descriptor d)
{
	return (int)syscall3(SYS_modify_ldt, mode, &d, sizeof(d));
}

static long set_segment(uint32_t entry, uint32_t contents, uint32_t base, bool wide)
{
	return write_entry(WRITE, (struct descriptor){ .entry = entry, .base = base, .limit = 0xfffff, .seg_32bit = wide,
						       .contents = contents, .limit_in_pages = 1 });
}

static long clear_entry(uint32_t entry)
{
	return write_entry(WRITE, (struct descriptor){ .entry = entry, .read_exec_only = 1, .not_present = 1 });
}

static void *low_page(void)
{
	return (void *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

static uint32_t read_fs(uint32_t selector)
{
	uint32_t value;

	__asm__ volatile("mov %1, %%fs\n\tmov %%fs:0, %0\n\tmov %2, %%fs" : "=r"(value) : "r"(selector), "r"(0));
	return value;
}

static void test_arguments(void)
{
	uint64_t table[20], zeroes[20] = { 0 };

	memset(table, 0xff, sizeof(table));
	EXPECT_EQ(syscall3(SYS_modify_ldt, READ, table, sizeof(table)), 0);
	EXPECT_EQ((int)syscall3(SYS_modify_ldt, 77, table, sizeof(table)), -ENOSYS);
	EXPECT_EQ((int)syscall3(SYS_modify_ldt, WRITE, table, 15), -EINVAL);
	EXPECT_EQ((int)syscall3(SYS_modify_ldt, WRITE, 8, 16), -EFAULT);
	EXPECT_EQ(set_segment(8192, DATA, 0, true), -EINVAL);
	EXPECT_EQ(set_segment(0, 3, 0, true), -EINVAL);
	EXPECT_EQ(write_entry(WRITE_OLD, (struct descriptor){ .limit = 1, .contents = 3, .not_present = 1 }), -EINVAL);
	EXPECT_EQ(syscall3(SYS_modify_ldt, READ_DEFAULT, table, sizeof(table)), 128);
	EXPECT_EQ(memcmp(table, zeroes, 128), 0);
	EXPECT_EQ(set_segment(3, DATA, 0x12345678, true), 0);
	EXPECT_EQ(syscall3(SYS_modify_ldt, READ, table, sizeof(table)), sizeof(table));
	EXPECT_EQ(table[3], 0x12cff3345678fffful);
	EXPECT_EQ(table[0] | table[2] | table[4] | table[19], 0);
	EXPECT_EQ((int)syscall3(SYS_modify_ldt, READ, 8, sizeof(table)), -EFAULT);
	EXPECT_EQ(set_segment(8191, DATA, 0, true), 0);
	EXPECT_EQ(clear_entry(3), 0);
	EXPECT_EQ(syscall3(SYS_modify_ldt, READ, table, 32), 32);
	EXPECT_EQ(table[3], 0);
}

/* Two processes with different segments behind the same selector, one after the other on one CPU. */
static void test_switch(void)
{
	uint32_t *page = low_page();
	int status = -1, wrong = 0;

	stay_on_cpus(ONE_CPU);
	page[0] = 111;
	page[1] = 222;
	EXPECT_EQ(set_segment(1, DATA, (uint32_t)(uint64_t)page, true), 0);
	if (fork() == 0) {
		wrong += read_fs(SELECTOR(1)) != 111;		/* a copy of the parent's */
		wrong += set_segment(1, DATA, (uint32_t)(uint64_t)&page[1], true) != 0;
		for (int i = 0; i < 50; i++) {
			wrong += read_fs(SELECTOR(1)) != 222;
			sched_yield();
		}
		exit(wrong);
	}
	for (int i = 0; i < 50; i++) {
		wrong += read_fs(SELECTOR(1)) != 111;
		sched_yield();
	}
	wait4(-1, &status, 0);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(status, 0);
	stay_on_cpus(ALL_CPUS);
	munmap(page, PAGE_SIZE);
}

static uint16_t data_selectors(void)
{
	uint16_t ds, es;

	__asm__ volatile("mov %%ds, %0\n\tmov %%es, %1" : "=r"(ds), "=r"(es));
	return ds == es ? ds : 0xffff;
}

static void load_data_selectors(uint32_t selector)
{
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(selector));
}

/* Takes entry 2 away while the other thread, which uses it, waits, or runs elsewhere. */
static int take_away(void *argument)
{
	volatile int *gone = argument;

	sleep_ms(5);
	clear_entry(2);
	*gone = 1;
	return 0;
}

static void use_what_goes(bool asleep)
{
	volatile int gone = 0;

	EXPECT_EQ(set_segment(2, DATA, 0, true), 0);
	EXPECT_EQ(thread_start(&threads[0], take_away, (void *)&gone, 0) > 0, 1);
	load_data_selectors(SELECTOR(2));
	EXPECT_EQ(data_selectors(), SELECTOR(2));
	while (!gone)
		if (asleep)
			sleep_ms(1);
	EXPECT_EQ(data_selectors(), 0);
	thread_join(&threads[0]);
}

static void test_entry_goes(void)
{
	use_what_goes(true);
	use_what_goes(false);
	EXPECT_EQ(set_segment(2, DATA, 0, true), 0);
	load_data_selectors(SELECTOR(2));
	EXPECT_EQ(clear_entry(2), 0);
	EXPECT_EQ(data_selectors(), 0);
}

/* --- Returns with what a handler has put into the frame --- */

static struct context to, saved;
static uint64_t trap_rip;

/* First the frame of a signal is changed, then its old values come back, by the signal of what ran meanwhile. */
static void change(int signal, struct info *info, struct context *uc)
{
	(void)info;
	if (signal == SIGUSR1) {
		saved = *uc;
		uc->cs = to.cs;
		uc->ss = to.ss;
		uc->rip = to.rip;
		uc->rsp = to.rsp;
		uc->rax = to.rax;
		return;
	}
	note(signal, info, uc);
	trap_rip = uc->rip;
	memcpy(&uc->r8, &saved.r8, (size_t)((uint8_t *)&uc->error - (uint8_t *)&uc->r8));
	uc->flags |= 4;		/* UC_STRICT_RESTORE_SS */
}

static uint8_t alternate[16 * PAGE_SIZE] __attribute__((aligned(16)));

static void go(uint32_t cs, uint32_t ss, uint64_t rip, uint64_t rsp)
{
	static const int signals[] = { SIGUSR1, SIGSEGV, SIGBUS, SIGTRAP, SIGILL };
	struct stack stack = { alternate, 0, 0, sizeof(alternate) };

	EXPECT_EQ(syscall2(SYS_sigaltstack, &stack, NULL), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++)
		set_handler(signals[i], change, SA_ONSTACK, ~0ul);
	to = (struct context){ .cs = (uint16_t)cs, .ss = (uint16_t)ss, .rip = rip, .rsp = rsp, .rax = 1000 };
	reset();
	raise(SIGUSR1);
	EXPECT_EQ(calls, 1);
}

/* Frames that IRET refuses, each in its own way. */
static void test_refused(void)
{
	static const struct {
		const char *what;
		uint32_t cs, ss;
		int signal;
	} frames[] = {
		{ "kernel's CS", 0x0b, SS_FLAT, SIGSEGV }, { "kernel's SS", 0x33, 0x13, SIGSEGV },
		{ "null CS", 3, SS_FLAT, SIGSEGV },	   { "data as CS", SS_FLAT, SS_FLAT, SIGSEGV },
		{ "code as SS", 0x33, 0x33, SIGSEGV },	   { "behind the GDT", 0x33, 0xfff3, SIGSEGV },
		{ "task segment", 0x43, SS_FLAT, SIGSEGV }, { "empty LDT entry", SELECTOR(7), SS_FLAT, SIGSEGV },
		{ "behind the LDT", SELECTOR(99), SS_FLAT, SIGSEGV },
		{ "code that is not present", SELECTOR(5), SS_FLAT, SIGBUS },
	};
	char *page = low_page();

	page[0] = (char)0xcc;
	EXPECT_EQ(write_entry(WRITE, (struct descriptor){ .entry = 5, .limit = 0xfffff, .seg_32bit = 1, .contents = CODE,
							  .limit_in_pages = 1, .not_present = 1 }), 0);
	EXPECT_EQ(set_segment(9, DATA, 0, true), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
		go(frames[i].cs, frames[i].ss, (uint64_t)page, (uint64_t)page + PAGE_SIZE);
		if (last_signal != frames[i].signal || trap_rip != (uint64_t)page || last_info.code != 0x80)
			FAIL("%s: signal %d, code %d, rip %lx", frames[i].what, last_signal, last_info.code, trap_rip);
	}
	go(0x33, SS_FLAT, (uint64_t)page, (uint64_t)page + PAGE_SIZE);
	EXPECT_EQ(last_signal, SIGTRAP);
	munmap(page, PAGE_SIZE);
}

/* 32-bit code, its two ways into the kernel, and back out. Intel's processors don't know SYSCALL there. */
static void test_32_bit(void)
{
	char *page = low_page();

	memcpy(page, "\xcd\x80\xcc", 3);		/* int $0x80; int3 */
	go(CS32, SS_FLAT, (uint64_t)page, (uint64_t)page + PAGE_SIZE);
	EXPECT_EQ(last_signal, SIGTRAP);
	EXPECT_EQ((int)last_context.rax, -ENOSYS);
	EXPECT_EQ(last_context.cs, CS32);
	memcpy(page, "\x0f\x05\xcc", 3);		/* syscall; int3 */
	go(CS32, SS_FLAT, (uint64_t)page, (uint64_t)page + PAGE_SIZE);
	if (last_signal == SIGILL) {
		EXPECT_EQ(trap_rip, (uint64_t)page);
	} else {
		EXPECT_EQ(last_signal, SIGTRAP);
		EXPECT_EQ((int)last_context.rax, -ENOSYS);
		EXPECT_EQ(trap_rip, (uint64_t)page + 3);
	}
	memcpy(page, "\x0f\x34\xcc", 3);		/* sysenter: the kernel has none; on Linux it may be a call */
	if (on_tarry()) {
		go(CS32, SS_FLAT, (uint64_t)page, (uint64_t)page + PAGE_SIZE);
		EXPECT(last_signal == SIGSEGV || last_signal == SIGILL);
	}
	munmap(page, PAGE_SIZE);
}

/* Returns to a stack segment of 16 bits, from handler and from the timer's interrupt. */
static void test_16_bit_stack(void)
{
	static const char spin[] = "\xb9\x00\x00\x80\x00\x49\x75\xfd\x89\xe0\xcc"; /* mov $..,%ecx; 1: dec; jnz; mov %esp,%eax; int3 */
	char *page = low_page();
	uint64_t sp = (uint64_t)page + 0x800;

	memcpy(page, spin, sizeof(spin));
	EXPECT_EQ(set_segment(4, DATA, 0, false), 0);
	for (int i = 0; i < 4; i++) {
		sp ^= 0x5a5a0000u << i;
		go(CS32, SELECTOR(4), (uint64_t)page, sp);
		EXPECT_EQ(last_signal, SIGTRAP);
		EXPECT_EQ((uint32_t)last_context.rax, (uint32_t)sp);
		EXPECT_EQ(last_context.ss, SELECTOR(4));
	}
	munmap(page, PAGE_SIZE);
}

static const struct ktap_test tests[] = {
	{ "arguments", test_arguments },	{ "two processes, two tables", test_switch },
	{ "an entry that goes", test_entry_goes }, { "frames that IRET refuses", test_refused },
	{ "32-bit code", test_32_bit },		{ "a 16-bit stack", test_16_bit_stack },
};

int main(void)
{
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
