/*
 * pasid - ENQCMD, the PASID that a thread gets at its first one, and the device that believes it. Catches: a PASID that
 * another task submits with, that a child, a new program or a handler's frame brings along or loses, that is given more
 * than once or to a thread that never asked; a real #GP that is taken for a first use; and commands that the device or
 * the instruction should have refused.
 */
#include <enqcmd.h>
#include "components.h"
#include "ptrace.h"
#include "signals.h"
#include "threads.h"
#include "vcpu.h"

enum { SI_KERNEL = 0x80, SEGV_MAPERR = 1, SEGV_ACCERR = 2, ENQCMD_LENGTH = 5 };
enum { PROCESSES = 4, TURNS = 60, ROUNDS = 200 };
#define RW	(PROT_READ | PROT_WRITE)
#define ZF	0x40ul
#define OTHERS	0x895ul		/* CF, PF, AF, SF, OF */

static struct tarry_portal memory __attribute__((aligned(64)));
static struct tarry_completion record __attribute__((aligned(32)));
static const volatile struct tarry_portal *portal;
static struct tarry_descriptor command;

static struct tarry_stats now(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static void bind(void)
{
	long address = pasid_bind();

	EXPECT(address > 0 && address % PAGE_SIZE == 0);
	portal = (const volatile struct tarry_portal *)address;
	command = noop_command(&record);
}

static void submit(void)
{
	enqcmd_wait(portal, &command);
}

/* The instruction that faulted is left out. */
static uint64_t insn_length = ENQCMD_LENGTH;

static void skip_insn(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->rip += insn_length;
}

/* One ENQCMD: the signal that it raised, or 0. */
static int try(const volatile void *to, const void *from)
{
	reset();
	set_handler(SIGSEGV, skip_insn, 0, 0);
	__asm__ volatile("enqcmd (%0), %1" : : "a"(from), "c"(to) : "memory", "cc");
	return last_signal;
}

static void expect_protection(int signal)
{
	EXPECT_EQ(signal, SIGSEGV);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, SI_KERNEL);
	EXPECT_EQ(last_info.address, 0);
	EXPECT_EQ(last_context.trap, EXC_PROTECTION);
	EXPECT_EQ(last_context.error, 0);
}

static void expect_page_fault(int signal, int code, uint64_t address, uint64_t error)
{
	EXPECT_EQ(signal, SIGSEGV);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, code);
	EXPECT_EQ(last_info.address, address);
	EXPECT_EQ(last_context.trap, EXC_PAGE_FAULT);
	EXPECT_EQ(last_context.error & 6, error);
}

/* --- First use --- */

static void first_use(void)
{
	struct tarry_stats before = now(), after;
	uint64_t found = before.fpu_updates_initial;

	bind();
	EXPECT(portal->pasid);
	EXPECT_EQ(portal->commands, 0);
	EXPECT_EQ(now().pasid_populated, before.pasid_populated);
	submit();
	after = now();
	EXPECT_EQ(after.pasid_populated, before.pasid_populated + 1);
	EXPECT_EQ(after.fpu_updates_initial, found + 1);
	EXPECT_EQ(portal->commands, 1);
	EXPECT_EQ(record.status, TARRY_WQ_SUCCESS);
	for (int i = 0; i < 10; i++)
		submit();
	EXPECT_EQ(now().pasid_populated, before.pasid_populated + 1);
	EXPECT_EQ(portal->commands, 11);
	EXPECT_EQ(portal->errors, 0);
	EXPECT_EQ(pasid_bind(), portal);
	EXPECT_EQ(now().pasid_strays, before.pasid_strays);
}

/* Each allocation on the way fails once; what was done by then is not done again, and nothing is lost. */
static void no_memory(void)
{
	long result = -ENOMEM;
	int n = 0;

	while (result == -ENOMEM && n++ < ROUNDS) {
		debug(TARRY_DEBUG_FAIL_ALLOC, n);
		result = pasid_bind();
		debug(TARRY_DEBUG_FAIL_ALLOC, 0);
	}
	EXPECT(result > 0);
	EXPECT(n > 4);
	bind();
	submit();
	EXPECT_EQ(portal->commands, 1);
}

static void unbound(void)
{
	uint64_t before = now().pasid_populated;

	expect_protection(try(&memory, &command));
	expect_protection(try(&memory, &command));
	if (portal)
		expect_protection(try(portal, &command));
	EXPECT_EQ(now().pasid_populated, before);
}

/* The first one gives the PASID, whatever the #GP is about; what remains then is the program's fault. */
static void real_faults(void)
{
	uint64_t before = now().pasid_populated;

	bind();
	for (int i = 0; i < 2; i++) {
		command.pasid = i ? 1u << 31 : 1;
		expect_protection(try(portal, &command));
	}
	EXPECT_EQ(now().pasid_populated, before + 1);
	command.pasid = 0;
	expect_protection(try((const volatile char *)portal + 32, &command));
	expect_protection(try((void *)(1ul << 62), &command));
	expect_protection(try(portal, (void *)(1ul << 62)));
	reset();
	__asm__ volatile("enqcmds (%0), %1" : : "a"(&command), "c"(portal) : "memory", "cc");
	expect_protection(last_signal);
	EXPECT_EQ(portal->commands, 0);
	EXPECT_EQ(try(portal, &command), 0);
	EXPECT_EQ(portal->commands + portal->retries, 1);
}

static void lock_prefix(void)
{
	bind();
	reset();
	set_handler(SIGILL, skip_insn, 0, 0);
	insn_length++;
	__asm__ volatile(".byte 0xf0, 0xf2, 0x0f, 0x38, 0xf8, 0x08" : : "a"(&command), "c"(portal) : "memory", "cc");
	EXPECT_EQ(last_signal, SIGILL);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(portal->commands, 0);
}

/* --- Addresses and flags --- */

static void addresses(void)
{
	char *pages = (char *)mmap(NULL, 2 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = pages + PAGE_SIZE;
	struct tarry_descriptor *last = (struct tarry_descriptor *)(end - sizeof(command));

	bind();
	munmap(end, PAGE_SIZE);
	*last = command;
	EXPECT_EQ(try(portal, last), 0);
	expect_page_fault(try(portal, (char *)last + 8), SEGV_MAPERR, (uint64_t)end, 4);
	expect_page_fault(try(portal, end), SEGV_MAPERR, (uint64_t)end, 4);
	expect_page_fault(try(end, &command), SEGV_MAPERR, (uint64_t)end, 6);
	EXPECT_EQ(syscall3(SYS_mprotect, pages, PAGE_SIZE, PROT_READ), 0);
	expect_page_fault(try(pages, &command), SEGV_ACCERR, (uint64_t)pages, 6);
	expect_page_fault(try((void *)0xffff800000000000, &command), SEGV_MAPERR, 0xffff800000000000, 6);
	munmap(pages, PAGE_SIZE);
}

/* The flags after an ENQCMD with all of them set before. */
static uint64_t flags_after(const volatile void *to)
{
	uint64_t flags;

	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq %3, (%%rsp)\n\tpopfq\n\tenqcmd (%1), %2\n\tpushfq\n\t"
			 "popq %0\n\tlea 128(%%rsp), %%rsp"
			 : "=&r"(flags) : "r"(&command), "r"(to), "i"(ZF | OTHERS) : "memory", "cc");
	return flags & (ZF | OTHERS);
}

static void flags(void)
{
	int accepted = 0;

	bind();
	memory.commands = 77;
	EXPECT_EQ(flags_after(&memory), ZF);
	EXPECT_EQ(memory.commands, 77);		/* no device is there: the store is dropped */
	EXPECT_EQ(memory.pasid, 0);
	for (int i = 0; i < ROUNDS && !accepted; i++) {
		uint64_t status = flags_after(portal);

		accepted = !status;
		EXPECT(!status || status == ZF);
		sleep_ms(1);
	}
	EXPECT(accepted);
}

/* Nobody writes the portal but the device. */
static void stores(void)
{
	volatile uint64_t *word;

	bind();
	word = (volatile uint64_t *)&portal->errors;
	set_handler(SIGSEGV, skip_insn, 0, 0);
	for (int i = 0; i < 3; i++) {
		reset();
		insn_length = 3;
		__asm__ volatile("movq %0, (%1)" : : "a"(5ul), "c"(word) : "memory");
		insn_length = ENQCMD_LENGTH;
		expect_page_fault(last_signal, SEGV_ACCERR, (uint64_t)word, 6);
		EXPECT_EQ(*word, 0);
		EXPECT_EQ(syscall3(SYS_mprotect, portal, PAGE_SIZE, i ? PROT_READ : RW), 0);
	}
	EXPECT_EQ(getrandom((void *)word, 8, 0), -EFAULT);
	expect_page_fault(try(portal, &command), SEGV_ACCERR, (uint64_t)portal, 6);
	EXPECT_EQ(syscall3(SYS_mprotect, portal, PAGE_SIZE, RW), 0);
	submit();
	EXPECT_EQ(portal->commands, 1);
	EXPECT_EQ(munmap((void *)portal, PAGE_SIZE), 0);
	expect_page_fault(try(portal, &command), SEGV_MAPERR, (uint64_t)portal, 6);
	bind();
	EXPECT_EQ(portal->commands, 1);
}

/* --- The device --- */

static void expect_status(uint8_t status)
{
	uint64_t errors = portal->errors;

	memset(&record, 0xff, sizeof(record));
	submit();
	EXPECT_EQ(record.status, status);
	EXPECT_EQ(record.zero[30], status == 0xff ? 0xff : 0);
	EXPECT_EQ(portal->errors - errors, status != TARRY_WQ_SUCCESS);
}

static void bad_commands(void)
{
	static const struct tarry_completion readonly __attribute__((aligned(32))) = { .status = 9 };
	uint64_t sent, strays = now().pasid_strays;

	bind();
	expect_status(TARRY_WQ_SUCCESS);
	for (uint32_t opcode = 1; opcode < 256; opcode += 51) {
		command.operation = opcode << TARRY_WQ_OPCODE | TARRY_WQ_ADDRESS_VALID;
		expect_status(TARRY_WQ_BAD_OPCODE);
	}
	for (uint32_t bit = 0; bit < TARRY_WQ_OPCODE; bit++) {
		command = noop_command(&record);
		command.operation |= 1u << bit;
		expect_status(bit == 2 || bit == 3 ? TARRY_WQ_SUCCESS : TARRY_WQ_BAD_FLAGS);
	}
	for (int i = 0; i < 6; i++) {
		command = noop_command(&record);
		command.reserved[i] = 1ul << 63;
		expect_status(TARRY_WQ_BAD_RESERVED);
	}
	command = noop_command(&record);
	command.completion += 8;
	expect_status(0xff);
	command.completion = 0x1000;
	expect_status(0xff);
	command.completion = (uint64_t)portal;
	expect_status(0xff);
	command.completion = 0xffffffff80000000;
	expect_status(0xff);
	command.completion = (uint64_t)&readonly;
	expect_status(0xff);
	EXPECT_EQ(readonly.status, 9);
	command.operation = TARRY_WQ_REPORT;
	expect_status(0xff);
	command = noop_command(&record);
	command.operation = TARRY_WQ_ADDRESS_VALID;
	sent = portal->commands;
	memset(&record, 0xff, sizeof(record));
	submit();
	EXPECT_EQ(record.status, 0xff);		/* success, and nobody asked */
	EXPECT_EQ(portal->commands, sent + 1);
	EXPECT_EQ(now().pasid_strays, strays);
}

static void full_queue(void)
{
	uint64_t accepted = 0;
	int retries = 0;

	bind();
	for (int round = 0; round < ROUNDS && !retries; round++)
		for (uint32_t i = 0; i <= TARRY_WQ_ENTRIES; i++) {
			int retry = enqcmd(portal, &command);

			retries += retry;
			accepted += !retry;
		}
	EXPECT(retries);
	EXPECT_EQ(portal->retries, retries);
	EXPECT_EQ(portal->commands, accepted);
	submit();
	EXPECT_EQ(portal->commands, accepted + 1);
}

/* --- Threads --- */

static int in_thread(void *commands)
{
	for (long i = 0; i < (long)commands; i++)
		submit();
	return 0;
}

static void in_threads(void)
{
	uint64_t before, sum = 0;
	uint64_t used = 0;

	bind();
	before = now().pasid_populated;
	for (long i = 0; i < THREADS; i++) {
		EXPECT(thread_start(&threads[i], in_thread, (void *)(2 * (i % 3)), CLONE_SETTLS) > 0);
		sum += (uint64_t)(2 * (i % 3));
		used += i % 3 != 0;
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(&threads[i]);
	EXPECT_EQ(portal->commands, sum);
	EXPECT_EQ(now().pasid_populated, before + used);
	submit();
	EXPECT_EQ(now().pasid_populated, before + used + 1);
	EXPECT(thread_start(&threads[0], in_thread, (void *)1, CLONE_SETTLS) > 0);
	thread_join(&threads[0]);
	EXPECT_EQ(now().pasid_populated, before + used + 2);	/* the register is not shared */
	EXPECT_EQ(portal->commands, sum + 2);
}

/* --- Other processes --- */

/*
 * Some are bound, the others would submit to their parent's portal with a PASID that they found in the registers. Each
 * bound one must see as many commands as it has sent.
 */
static void neighbour(int i, uint64_t cpus)
{
	uint64_t sent = 0, mask;

	ktap_failed = 0;
	if (i % 2)
		bind();
	for (uint64_t turn = 0; turn < TURNS; turn++) {
		if (i % 2)
			submit(), sent++;
		else if (!try(portal, &command))
			FAIL("process %d, turn %lu: submitted with somebody's PASID", i, turn);
		mask = 1ul << (turn / 8 + (uint64_t)i / 2) % cpus;
		if (turn % 8 == 0)
			syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
		else
			sched_yield();
	}
	if (i % 2)
		EXPECT_EQ(portal->commands, sent);
	exit(ktap_failed != 0);
}

static void neighbours(void)
{
	struct tarry_stats before;
	uint64_t sent;
	int status;

	bind();
	submit();
	before = now();
	sent = portal->commands;
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			neighbour(i, before.cpus);
	for (int i = 0; i < PROCESSES; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(portal->commands, sent);
	EXPECT_EQ(now().pasid_strays, before.pasid_strays);
	EXPECT_EQ(now().pasid_populated, before.pasid_populated + PROCESSES / 2);
}

/* Its own PASID is another one; the parent's portal is only memory to it that counts something else. */
static void child_binds(void)
{
	const volatile struct tarry_portal *of_parent = portal;
	uint64_t before = of_parent->commands, pasid = of_parent->pasid;

	unbound();
	bind();
	EXPECT(portal != of_parent && portal->pasid != pasid);
	submit();
	EXPECT_EQ(portal->commands, 1);
	portal = of_parent;
	submit();
	EXPECT_EQ(of_parent->commands, before);
	EXPECT_EQ(((const volatile struct tarry_portal *)pasid_bind())->commands, 2);
}

static void forks(void)
{
	uint64_t before;

	bind();
	submit();
	before = now().pasid_populated;
	EXPECT_EQ(ktap_child(child_binds), 0);
	EXPECT_EQ(now().pasid_populated, before + 1);
	submit();
	EXPECT_EQ(portal->commands, 2);
	EXPECT_EQ(now().pasid_populated, before + 1);
}

/* What the program does when it is started with an argument, its predecessor's PASID: 0 is as it should be. */
static int fresh_program(const char *argument)
{
	unbound();
	bind();
	EXPECT(portal->pasid != (uint32_t)atoi(argument));
	submit();
	EXPECT_EQ(portal->commands, 1);
	return ktap_failed;
}

static void execs(void)
{
	char pasid[16], *argv[] = { "pasid", pasid, NULL };

	bind();
	submit();
	snprintf(pasid, sizeof(pasid), "%u", portal->pasid);
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
	FAIL("no exec");
}

/* It takes turns with one that has a PASID, which stays in the registers where those lie behind CR0.TS. */
static void integer_only(void)
{
	char *argv[] = { "intcrash", "enqcmd", NULL };
	int status = -1;
	long pid;

	stay_on_cpus(ONE_CPU);
	bind();
	submit();
	pid = fork();
	if (pid == 0) {
		execve("/bin/intcrash", argv, environ);
		exit(2);
	}
	while (wait4((int)pid, &status, WNOHANG) == 0)
		sched_yield();
	EXPECT_EQ(status, SIGSEGV);
	submit();
	EXPECT_EQ(portal->commands, 2);
}

/* Neither its owner's, nor does its #GP get it one. */
static void guests(void)
{
	struct guest g;

	bind();
	submit();
	guest_make(&g, guest_enqcmd);
	EXPECT_EQ(give(g.fd, NOWHERE, portal, PAGE_SIZE, RW), 0);
	*(struct tarry_descriptor *)g.data = command;
	for (int i = 0; i < 3; i++) {
		g.regs.rsi = NOWHERE;
		EXPECT_EQ(guest_run(&g), TARRY_VCPU_FAULT);
		EXPECT_EQ(g.exit.vector, EXC_PROTECTION);
		EXPECT_EQ(g.exit.regs.rip, guest_address(guest_enqcmd));
		submit();
	}
	EXPECT_EQ(portal->commands, 4);
	guest_end_of(&g);
}

/* The device does not know whom a number belonged to that is nobody's; and writes to nobody's memory. */
static void strays(void)
{
	uint64_t before = now().pasid_strays, value = 0x80000000 | 0xfffff;

	bind();
	submit();
	EXPECT_EQ(set(0, PASID, &value, NULL), 0);
	record.status = 0;
	submit();
	EXPECT_EQ(record.status, 0);
	EXPECT_EQ(portal->commands, 1);
	EXPECT_EQ(now().pasid_strays, before + 1);
	value = 0x80000000 | portal->pasid;
	EXPECT_EQ(set(0, PASID, &value, NULL), 0);
	submit();
	EXPECT_EQ(portal->commands, 2);
}

/* --- Signals --- */

static void submit_inside(int signal, struct info *info, struct context *uc)
{
	(void)signal, (void)info, (void)uc;
	submit();
}

/* A frame has no PASID: the handler keeps the thread's, and leaves the one it got. */
static void signals(void)
{
	uint64_t before = now().pasid_populated;

	bind();
	set_handler(SIGUSR1, submit_inside, 0, 0);
	raise(SIGUSR1);
	EXPECT_EQ(now().pasid_populated, before + 1);
	submit();
	raise(SIGUSR1);
	submit();
	EXPECT_EQ(portal->commands, 4);
	EXPECT_EQ(now().pasid_populated, before + 1);
}

/* --- A debugger --- */

static void submit_and_stop(void)
{
	bind();
	submit();
	kill((int)getpid(), SIGSTOP);
	submit();
	EXPECT_EQ(portal->commands, 2);
	EXPECT_EQ(portal->errors, 0);
}

/* It sees no supervisor state, and can't change it by writing the rest. Neither can it write the portal. */
static void traced(void)
{
	static uint8_t image[VALUE_SIZE + 3072] __attribute__((aligned(64)));
	uint64_t before = now().pasid_populated, address, *words = (uint64_t *)image;
	size_t size = sizeof(image);

	start_tracee(submit_and_stop);
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGSTOP));
	EXPECT_EQ(regset(PTRACE_GETREGSET, NT_X86_XSTATE, image, &size), 0);
	EXPECT_EQ((words[58] | words[64]) >> PASID & 1, 0);	/* XCR0 as Linux shows it, XSTATE_BV */
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_X86_XSTATE, image, &size), 0);
	EXPECT_EQ(ptrace(PTRACE_PEEKDATA, &portal, (uint64_t)&address), 0);
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, (void *)(address + offsetof(struct tarry_portal, errors)), 1), -EIO);
	expect_end();
	EXPECT_EQ(now().pasid_populated, before + 1);
}

/* --- What it costs --- */

/* The bytes of one save, of a sleep during which nobody else was saved. */
static uint64_t bytes_of_save(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct tarry_stats before = now(), after;

		__asm__ volatile("movq %0, %%xmm0" : : "r"(1ul));
		sleep_ms(1);
		after = now();
		if (after.fpu_saves == before.fpu_saves + 1)
			return after.fpu_bytes_saved - before.fpu_bytes_saved;
	}
	FAIL("no undisturbed sleep");
	return 0;
}

static void costs(void)
{
	uint64_t without = bytes_of_save();

	bind();
	EXPECT_EQ(bytes_of_save(), without);
	submit();
	EXPECT_EQ(bytes_of_save(), without + 8);
}

#define IN_CHILD(name, f)						\
	static void test_##name(void)					\
	{								\
		if (pasid_bind() < 0)					\
			SKIP("no PASID: native, and no CPU has it");	\
		EXPECT_EQ(ktap_child(f), 0);				\
	}

IN_CHILD(first_use, first_use)
IN_CHILD(unbound, unbound)
IN_CHILD(real, real_faults)
IN_CHILD(lock, lock_prefix)
IN_CHILD(addresses, addresses)
IN_CHILD(flags, flags)
IN_CHILD(stores, stores)
IN_CHILD(bad, bad_commands)
IN_CHILD(full, full_queue)
IN_CHILD(threads, in_threads)
IN_CHILD(neighbours, neighbours)
IN_CHILD(forks, forks)
IN_CHILD(execs, execs)
IN_CHILD(integer_only, integer_only)
IN_CHILD(guests, guests)
IN_CHILD(strays, strays)
IN_CHILD(memory, no_memory)
IN_CHILD(signals, signals)
IN_CHILD(traced, traced)
IN_CHILD(costs, costs)

#define IF_DEBUG(name)							\
	static void test_##name##_if(void)				\
	{								\
		if (!debug_allowed())					\
			SKIP("needs the debug call");			\
		test_##name();						\
	}

IF_DEBUG(strays)
IF_DEBUG(memory)

static const struct ktap_test tests[] = {
	{ "first use", test_first_use },
	{ "no memory", test_memory_if },
	{ "not bound", test_unbound },
	{ "a real #GP", test_real },
	{ "LOCK", test_lock },
	{ "addresses", test_addresses },
	{ "flags", test_flags },
	{ "stores to the portal", test_stores },
	{ "bad commands", test_bad },
	{ "a full queue", test_full },
	{ "threads", test_threads },
	{ "neighbours on all processors", test_neighbours },
	{ "fork", test_forks },
	{ "exec", test_execs },
	{ "an integer-only program", test_integer_only },
	{ "a guest", test_guests },
	{ "a PASID that is nobody's", test_strays_if },
	{ "signals", test_signals },
	{ "a debugger", test_traced },
	{ "what a save costs", test_costs },
};

int main(int argc, char **argv)
{
	return argc > 1 ? fresh_program(argv[1]) : ktap_run(tests, (int)ARRAY_SIZE(tests));
}
