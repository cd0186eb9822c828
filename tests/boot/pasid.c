/*
 * pasid - the PASID that a thread gets at its first ENQCMD. Catches: one that another task submits with; that a
 * child, a new program or a handler's frame brings along or loses; that is given more than once, or to a thread that
 * never asked; and a real #GP that is taken for a first use.
 */
#include "components.h"
#include "pasid.h"
#include "ptrace.h"
#include "threads.h"
#include "vcpu.h"

enum { PROCESSES = 4, TURNS = 60 };

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
 * Some are bound, the others would submit to their parent's portal with a PASID that they found in the registers.
 * Each bound one must see as many commands as it has sent.
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

IN_CHILD(first_use, first_use)
IN_CHILD(unbound, unbound)
IN_CHILD(real, real_faults)
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
