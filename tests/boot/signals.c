/*
 * signals - handlers, masks, faults and what interrupts what, as on Linux; the frame is sigframe's. Catches: a system
 * call that is made twice, or never again; a fault that can be blocked or ignored, and so never ends; a signal lost
 * between threads, or taken twice.
 */
#include "signals.h"
#include "threads.h"

/* --- Dispositions and masks --- */

static void handler_runs(void)
{
	reset();
	EXPECT_EQ(set_handler(SIGUSR1, note, 0, BIT_OF(SIGUSR2)), 0);
	EXPECT_EQ(kill((int)getpid(), SIGUSR1), 0);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_signal, SIGUSR1);
	EXPECT_EQ(last_info.signo, SIGUSR1);
	EXPECT_EQ(last_info.code, 0);
	EXPECT_EQ(last_info.pid, getpid());
	EXPECT_EQ(mask_inside, BIT_OF(SIGUSR1) | BIT_OF(SIGUSR2));
	EXPECT_EQ(mask_now(), 0);
	raise(SIGUSR1);
	EXPECT_EQ(last_info.code, -6);
	EXPECT_EQ(calls, 2);
}

static void flags_count(void)
{
	struct action old;

	reset();
	set_handler(SIGUSR1, note, SA_NODEFER | SA_RESETHAND, 0);
	raise(SIGUSR1);
	EXPECT_EQ(mask_inside, 0);
	EXPECT_EQ(syscall4(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8), 0);
	EXPECT_EQ(old.handler, SIG_DFL);
	EXPECT_EQ(set_handler(SIGKILL, note, 0, 0), -EINVAL);
	EXPECT_EQ(set_handler(19, note, 0, 0), -EINVAL);
	EXPECT_EQ(set_handler(65, note, 0, 0), -EINVAL);
	EXPECT_EQ(set_handler(0, note, 0, 0), -EINVAL);
	EXPECT_EQ(syscall4(SYS_rt_sigaction, SIGUSR1, NULL, &old, 4), -EINVAL);
	EXPECT_EQ(syscall4(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), -EFAULT);
	EXPECT_EQ(syscall4(SYS_rt_sigprocmask, 7, &old, NULL, 8), -EINVAL);
}

static void blocked_waits(void)
{
	reset();
	set_handler(SIGUSR1, note, 0, 0);
	set_handler(34, note, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1) | BIT_OF(34) | BIT_OF(SIGKILL));
	EXPECT_EQ(mask_now(), BIT_OF(SIGUSR1) | BIT_OF(34));
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(34);
	raise(34);
	EXPECT_EQ(calls, 0);
	EXPECT_EQ(pending_now(), BIT_OF(SIGUSR1) | BIT_OF(34));
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(calls, 3); /* one of the standard signal, both of the real-time one */
	EXPECT_EQ(pending_now(), 0);
}

static void ignored_is_gone(void)
{
	reset();
	set_handler(SIGUSR1, SIG_IGN, 0, 0);
	raise(SIGUSR1);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	raise(SIGUSR1);
	EXPECT_EQ(pending_now(), BIT_OF(SIGUSR1)); /* blocked: it may still get a handler */
	set_handler(SIGUSR1, SIG_IGN, 0, 0);
	EXPECT_EQ(pending_now(), 0);
	set_mask(SIG_SETMASK, 0);
	set_handler(SIGUSR1, SIG_DFL, 0, 0);
}

static void waited_for(void)
{
	uint64_t set = BIT_OF(SIGUSR1);
	struct timespec soon = { 0, 2000000 };
	struct info info;

	set_handler(SIGUSR1, SIG_DFL, 0, 0);
	set_mask(SIG_BLOCK, set);
	EXPECT_EQ(syscall4(SYS_rt_sigtimedwait, &set, &info, &soon, 8), -EAGAIN);
	raise(SIGUSR1);
	EXPECT_EQ(syscall4(SYS_rt_sigtimedwait, &set, &info, NULL, 8), SIGUSR1);
	EXPECT_EQ(info.code, -6);
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(pending_now(), 0);
}

/* --- Faults --- */

static void *fault_page;

static void skip_two(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	uc->rip += 2;
}

static void fix_page(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	mprotect(fault_page, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void faults_have_codes(void)
{
	fault_page = (void *)mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reset();
	set_handler(SIGSEGV, fix_page, 0, 0);
	*(volatile char *)fault_page = 1; /* again after the handler */
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 2);
	EXPECT_EQ(last_info.address, fault_page);
	EXPECT_EQ(last_context.trap, 14);
	EXPECT_EQ(last_context.cr2, fault_page);
	EXPECT_EQ(last_context.error & 7, 6 | (last_context.error & 1));
	munmap(fault_page, PAGE_SIZE);
	set_handler(SIGSEGV, skip_two, 0, 0);
	__asm__ volatile("movb (%0), %%al" : : "a"(fault_page)); /* 2 bytes */
	EXPECT_EQ(calls, 2);
	EXPECT_EQ(last_info.code, 1);
	EXPECT_EQ(last_info.address, fault_page);
	set_handler(SIGILL, skip_two, 0, 0);
	__asm__ volatile("ud2");
	EXPECT_EQ(last_signal, SIGILL);
	EXPECT_EQ(last_info.code, 2);
	EXPECT_EQ(last_info.address, last_context.rip);
	set_handler(SIGFPE, skip_two, 0, 0);
	__asm__ volatile("xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\tdivl %%ecx" : : : "rax", "rcx", "rdx");
	EXPECT_EQ(last_signal, SIGFPE);
	EXPECT_EQ(last_info.code, 1);
	set_handler(SIGTRAP, note, 0, 0);
	__asm__ volatile("int3");
	EXPECT_EQ(last_signal, SIGTRAP);
	EXPECT_EQ(last_info.code, 0x80);
	EXPECT_EQ(calls, 5);
}

static void mask_exceptions(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	*(uint16_t *)uc->fpstate |= 0x3f;
	*(uint16_t *)(uc->fpstate + 2) &= 0x7f00;
	*(uint32_t *)(uc->fpstate + 24) |= MXCSR_DEFAULT;
}

static void x87_faults(void)
{
	uint16_t fcw = 0x37f & ~4;

	reset();
	set_handler(SIGFPE, mask_exceptions, 0, 0);
	__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait\n\tfninit" : : "m"(fcw));
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 3);
	EXPECT_EQ(last_context.trap, 16);
}

/* QEMU never raises one. */
static int emulated_by_qemu(void)
{
	uint32_t eax = 0x40000000, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx == 0x54474354; /* "TCGT" */
}

static void simd_faults(void)
{
	uint32_t mxcsr = MXCSR_DEFAULT & ~0x80u; /* invalid */
	static const float zero[4] = { 0 };

	if (emulated_by_qemu())
		SKIP("QEMU has no SIMD exceptions");
	reset();
	set_handler(SIGFPE, mask_exceptions, 0, 0);
	__asm__ volatile("ldmxcsr %0\n\tmovups %1, %%xmm3\n\tdivps %%xmm3, %%xmm3" : : "m"(mxcsr), "m"(zero) : "xmm3");
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 7);
	EXPECT_EQ(last_context.trap, 19);
	mxcsr = MXCSR_DEFAULT;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static volatile int zero_word;

static void fault_blocked(void)
{
	set_handler(SIGSEGV, note, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGSEGV));
	*(volatile char *)(long)zero_word = 0;
}

static void fault_ignored(void)
{
	set_handler(SIGILL, SIG_IGN, 0, 0);
	__asm__ volatile("ud2");
}

static void faults_are_forced(void)
{
	EXPECT_EQ(status_of(fault_blocked) & 0x7f, SIGSEGV);
	EXPECT_EQ(status_of(fault_ignored) & 0x7f, SIGILL);
}

/* --- Sleeping system calls --- */

static long killer_of_parent(int signal, int times)
{
	int parent = (int)getpid();
	long pid = fork();

	if (pid)
		return pid;
	for (int i = 0; i < times; i++) {
		sleep_ms(5);
		kill(parent, signal);
	}
	exit(0);
}

static void sleeps_end(void)
{
	struct timespec day = { 86400, 0 }, left = { 0, 0 };
	uint32_t word = 1;
	uint64_t none = 0;
	long pid, child = fork();
	int fds[2];
	char c;

	if (child == 0) {
		sleep_ms(1000000);
		exit(1);
	}
	pipe(fds);
	reset();
	set_handler(SIGUSR1, note, 0, 0);
	pid = killer_of_parent(SIGUSR1, 1000000);
	EXPECT_EQ(syscall2(SYS_nanosleep, &day, &left), -EINTR);
	EXPECT(left.tv_sec >= 86000 && left.tv_sec < 86400);
	EXPECT_EQ(futex(&word, FUTEX_WAIT, 1, NULL), -EINTR);
	EXPECT_EQ(futex(&word, FUTEX_WAIT, 1, &day), -EINTR);
	EXPECT_EQ(read(fds[0], &c, 1), -EINTR);
	EXPECT_EQ(wait4((int)child, NULL, 0), -EINTR);
	EXPECT_EQ(syscall0(SYS_pause), -EINTR);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	EXPECT_EQ(syscall2(SYS_rt_sigsuspend, &none, 8), -EINTR);
	EXPECT_EQ(mask_now(), BIT_OF(SIGUSR1));
	EXPECT_EQ(last_context.mask, BIT_OF(SIGUSR1));
	set_handler(SIGUSR1, SIG_IGN, 0, 0);
	set_mask(SIG_SETMASK, 0);
	kill((int)pid, SIGKILL);
	kill((int)child, SIGKILL);
	wait4((int)pid, NULL, 0);
	wait4((int)child, NULL, 0);
	EXPECT(calls >= 7);
	close(fds[0]);
	close(fds[1]);
}

static int restart_fd;

static void write_third(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	if (calls == 3)
		ignore_result(write(restart_fd, "x", 1));
}

static void restarts(void)
{
	int fds[2];
	char c = 0;
	long pid;

	pipe(fds);
	restart_fd = fds[1];
	reset();
	set_handler(SIGUSR1, write_third, SA_RESTART, 0);
	pid = killer_of_parent(SIGUSR1, 3);
	EXPECT_EQ(read(fds[0], &c, 1), 1);
	EXPECT_EQ(c, 'x');
	EXPECT_EQ(calls, 3);
	while (wait4((int)pid, NULL, 0) == -EINTR)
		;
	close(fds[0]);
	close(fds[1]);
	set_handler(SIGUSR1, SIG_DFL, 0, 0);
}

/* --- Children --- */

static void child_signal(void)
{
	long pid;
	int status;

	reset();
	set_handler(SIGCHLD, note, SA_RESTART, 0);
	pid = fork();
	if (pid == 0)
		exit(7);
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);
	EXPECT_EQ(status, 7 << 8);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 1);
	EXPECT_EQ(last_info.pid, pid);
	EXPECT_EQ(last_info.value & 0xffffffff, 7);
	set_handler(SIGCHLD, SIG_IGN, 0, 0);
	pid = fork();
	if (pid == 0)
		exit(7);
	EXPECT_EQ(wait4((int)pid, &status, 0), -ECHILD);
	set_handler(SIGCHLD, SIG_DFL, 0, 0);
}

static void forked(void)
{
	EXPECT_EQ(pending_now(), 0);
	EXPECT_EQ(mask_now(), BIT_OF(SIGUSR1));
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(calls, 0);
	raise(SIGUSR1);
	EXPECT_EQ(calls, 1);
}

static void fork_inherits(void)
{
	reset();
	set_handler(SIGUSR1, note, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	raise(SIGUSR1);
	EXPECT_EQ(ktap_child(forked), 0);
	set_mask(SIG_SETMASK, 0);
	EXPECT_EQ(calls, 1);
}

static void do_exec(void)
{
	char *argv[] = { "signals", "--exec", NULL };

	set_handler(SIGUSR1, note, 0, 0);
	set_handler(SIGUSR2, SIG_IGN, 0, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	raise(SIGUSR1);
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
}

static int after_exec(void)
{
	struct action one, two;

	syscall4(SYS_rt_sigaction, SIGUSR1, NULL, &one, 8);
	syscall4(SYS_rt_sigaction, SIGUSR2, NULL, &two, 8);
	return one.handler != SIG_DFL || two.handler != SIG_IGN || pending_now() != BIT_OF(SIGUSR1) ||
	       mask_now() != BIT_OF(SIGUSR1) ? 1 : 33;
}

static void exec_resets(void)
{
	EXPECT_EQ(status_of(do_exec), 33 << 8);
}

/* --- Threads --- */

static volatile int taker_tid, thread_ready, thread_stop;

static void note_tid(int signal)
{
	(void)signal;
	taker_tid = (int)syscall0(SYS_gettid);
	thread_stop = 1;
}

static int spin_thread(void *argument)
{
	(void)argument;
	thread_ready = 1;
	while (!thread_stop)
		__asm__ volatile("pause");
	return 0;
}

/* The process's signal goes to the thread that does not block it, wherever that runs, even in a loop. */
static void thread_takes_it(void)
{
	set_handler(SIGUSR1, note_tid, 0, 0);
	taker_tid = thread_ready = thread_stop = 0;
	thread_start(&threads[0], spin_thread, NULL, 0);
	set_mask(SIG_BLOCK, BIT_OF(SIGUSR1));
	while (!thread_ready)
		sched_yield();
	kill((int)getpid(), SIGUSR1);
	thread_join(&threads[0]);
	EXPECT_EQ(taker_tid, threads[0].ptid);
	EXPECT_EQ(pending_now(), 0);
	set_mask(SIG_SETMASK, 0);
}

#define STORM	500
static volatile int storm_count;

static void count_storm(int signal)
{
	(void)signal;
	storm_count++;
}

static int storm_thread(void *argument)
{
	int target = (int)(long)argument;

	for (int i = 0; i < STORM; i++)
		while (syscall3(SYS_tgkill, getpid(), target, 34) == -EAGAIN)
			sched_yield();
	return 0;
}

/* Every queued signal is taken once, and the registers survive each. */
static void storm_of_signals(void)
{
	int tid = (int)syscall0(SYS_gettid);
	uint64_t x[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, y[2];

	storm_count = 0;
	set_handler(34, count_storm, 0, 0);
	for (int i = 0; i < 3; i++)
		thread_start(&threads[i], storm_thread, (void *)(long)tid, 0);
	while (storm_count < 3 * STORM) {
		__asm__ volatile("movups %1, %%xmm14\n\tmov $200, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\t"
				 "movups %%xmm14, %0" : "=m"(y) : "m"(x) : "ecx", "xmm14");
		EXPECT(y[0] == x[0] && y[1] == x[1]);
	}
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	EXPECT_EQ(storm_count, 3 * STORM);
}

static const struct ktap_test tests[] = {
	{ "a handler runs, with its mask, and returns", handler_runs },
	{ "flags and arguments of rt_sigaction", flags_count },
	{ "blocked signals wait; standard ones merge, real-time ones do not", blocked_waits },
	{ "an ignored signal is gone", ignored_is_gone },
	{ "rt_sigtimedwait takes a blocked one", waited_for },
	{ "faults have codes and addresses", faults_have_codes },
	{ "x87 exceptions", x87_faults },
	{ "SIMD exceptions", simd_faults },
	{ "faults can't be blocked or ignored", faults_are_forced },
	{ "signals end what sleeps", sleeps_end },
	{ "SA_RESTART goes on", restarts },
	{ "SIGCHLD, and children nobody wants", child_signal },
	{ "fork inherits handlers and mask", fork_inherits },
	{ "exec keeps mask, pending and ignored signals", exec_resets },
	{ "the thread that does not block it takes it", thread_takes_it },
	{ "thousands of signals, each taken once", storm_of_signals },
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--exec"))
		return after_exec();
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
