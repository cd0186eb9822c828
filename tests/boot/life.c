/*
 * life - how threads and processes end, in every order, and what they may not become. Catches: a
 * process that stays because one of its threads sleeps where no end reaches it; a thread that
 * execs and loses its pid or leaves others running; a status of the wrong thread; locks whose
 * holder is dead and nobody says so; a vfork that waits for another task than the new one, or that
 * no kill ends; a fork bomb that takes the system with it.
 */
#include "threads.h"

enum { END_LOOKS = 10000 };

static volatile uint32_t never;		/* a futex that nobody wakes */
static int pipe_fds[2];
static volatile int ready;

/* --- Where the others are when the end comes --- */

static int in_futex(void *argument)
{
	(void)argument;
	__sync_fetch_and_add(&ready, 1);
	while (!never)
		futex((void *)&never, FUTEX_WAIT, 0, NULL);
	return 0;
}

static int in_pipe(void *argument)
{
	char c;

	(void)argument;
	__sync_fetch_and_add(&ready, 1);
	read(pipe_fds[0], &c, 1);
	return 0;
}

static int in_sleep(void *argument)
{
	(void)argument;
	__sync_fetch_and_add(&ready, 1);
	while (!never)
		sleep_ms(1000000);
	return 0;
}

static int running(void *argument)
{
	(void)argument;
	__sync_fetch_and_add(&ready, 1);
	while (!never)
		__asm__ volatile("pause");
	return 0;
}

/* A child that ends when the pipe has no writer any more, which is when its parent is gone. */
static int outlive(void *argument)
{
	char c;

	(void)argument;
	close(pipe_fds[1]);
	exit((int)read(pipe_fds[0], &c, 1));
}

static int in_wait(void *argument)
{
	if (fork() == 0)
		outlive(argument);
	__sync_fetch_and_add(&ready, 1);
	wait4(-1, NULL, 0);
	return 0;
}

static int in_vfork(void *argument)
{
	char stack[PAGE_SIZE];

	__sync_fetch_and_add(&ready, 1);
	return (int)clone_thread(CLONE_VM | CLONE_VFORK | SIGCHLD, stack + sizeof(stack), NULL, NULL, NULL, outlive,
				 argument);
}

static const struct place {
	const char *name;
	int (*thread)(void *);
} places[] = {
	{ "a futex", in_futex }, { "a pipe", in_pipe }, { "a sleep", in_sleep },
	{ "user code", running }, { "wait4", in_wait }, { "vfork", in_vfork },
};

/* --- Who brings the end, and how --- */

static int do_exit_group(void *argument) { (void)argument; exit(21); }
static int do_crash(void *argument) { *(volatile int *)0 = 0; return argument != NULL; }
static int do_kill(void *argument) { kill((int)getpid(), SIGTERM); return argument != NULL; }
static int do_exec(void *argument)
{
	char *argv[] = { "life", "--exec", NULL };

	(void)argument;
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
	return 1;
}

static const struct end {
	const char *name;
	int (*act)(void *);
	int status;
} ends[] = {
	{ "exit_group", do_exit_group, 21 << 8 }, { "a crash", do_crash, SIGSEGV },
	{ "kill", do_kill, SIGTERM }, { "exec", do_exec, 55 << 8 },
};

static const struct place *place;
static const struct end *end;

static void start_others(void)
{
	pipe(pipe_fds);
	ready = 0;
	for (int i = 0; i < 3; i++)
		thread_start(&threads[i], place->thread, NULL, 0);
	while (ready < 3)
		sched_yield();
	sleep_ms(3);
}

static void first_thread_ends_all(void)
{
	start_others();
	end->act(NULL);
}

/* The first thread is one of those that wait. */
static void other_thread_ends_all(void)
{
	start_others();
	thread_start(&threads[3], end->act, NULL, 0);
	place->thread(NULL);
	for (;;)
		sleep_ms(1000000);
}

/* The first thread has ended already. */
static void after_the_first(void)
{
	start_others();
	thread_start(&threads[3], end->act, NULL, 0);
	exit_thread(11);
}

/* The status that f's process ends with; -1 if it does not end: a test that waited for ever would tell nobody. */
static int status_of(void (*f)(void))
{
	int status = -1;
	long pid = fork();

	if (pid == 0) {
		f();
		exit(1);
	}
	for (int i = 0; i < END_LOOKS && wait4((int)pid, &status, WNOHANG) == 0; i++)
		sleep_ms(1);
	return status;
}

static void expect_end(const char *who, void (*f)(void))
{
	int status = status_of(f);

	if (status != end->status)
		FAIL("%s brings %s, the others in %s: status 0x%x, not 0x%x", who, end->name,
		     place->name, (unsigned int)status, (unsigned int)end->status);
}

static void test_orders(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		for (size_t k = 0; k < ARRAY_SIZE(ends) && !ktap_failed; k++) {
			place = &places[i];
			end = &ends[k];
			expect_end("the first thread", first_thread_ends_all);
			expect_end("another thread", other_thread_ends_all);
			expect_end("one after the first's end", after_the_first);
		}
}

static int end_late(void *argument)
{
	sleep_ms(10 * (uint64_t)(long)argument);
	exit_thread((int)(long)argument);
}

static void end_one_by_one(void)
{
	for (long i = 0; i < 4; i++)
		thread_start(&threads[i], end_late, (void *)(i + 1), 0);
	exit_thread(9);
}

static void end_in_reverse(void)
{
	for (long i = 0; i < 4; i++)
		thread_start(&threads[i], end_late, (void *)(4 - i), 0);
	for (int i = 3; i >= 0; i--)
		thread_join(&threads[i]);
	exit_thread(9);
}

static void test_one_by_one(void)
{
	EXPECT_EQ(ktap_child(end_one_by_one), 4 << 8);	/* the last one's status */
	EXPECT_EQ(ktap_child(end_in_reverse), 9 << 8);
}

/* --- Whom vfork waits for --- */

static volatile int released;

static int end_after_a_while(void *argument)
{
	(void)argument;
	sleep_ms(20);
	released = 1;
	return 0;
}

static void vfork_thread(void)
{
	thread_start(&threads[0], end_after_a_while, NULL, CLONE_VFORK);
	exit(released ? 44 : 45);
}

static int until_released(void *argument)
{
	(void)argument;
	while (!released)
		sched_yield();
	exit(46);
}

static int leave_another(void *argument)
{
	thread_start(&threads[0], until_released, argument, 0);
	return 0;
}

/* The new process's first thread ends, the other one waits for us. */
static void vfork_two(void)
{
	char stack[PAGE_SIZE];
	int status = -1;
	long pid = clone_thread(CLONE_VM | CLONE_VFORK | SIGCHLD, stack + sizeof(stack), NULL, NULL, NULL,
				leave_another, NULL);

	released = 1;
	wait4((int)pid, &status, 0);
	exit(status >> 8);
}

static void test_vfork(void)
{
	EXPECT_EQ(status_of(vfork_thread), 44 << 8);
	EXPECT_EQ(status_of(vfork_two), 46 << 8);
}

/* --- What the kernel does in user memory when a thread ends --- */

static int other_word;

static int move_tid_address(void *argument)
{
	other_word = 1;
	if (syscall1(SYS_set_tid_address, &other_word) == gettid())
		*(int *)argument = 1;
	return 0;
}

static void test_tid_address(void)
{
	int right = 0, v;

	thread_start(&threads[0], move_tid_address, &right, 0);
	while ((v = *(volatile int *)&other_word) != 0 || !right)
		futex(&other_word, FUTEX_WAIT, (uint32_t)v, NULL);
	EXPECT_EQ(threads[0].tid, 1);		/* no longer the kernel's to clear */
	sleep_ms(5);
	munmap(threads[0].stack, THREAD_STACK);
}

static struct robust_lock {
	struct robust_lock *next;
	uint32_t word;
} locks[3];

static struct {
	struct robust_lock *first;
	long offset;
	struct robust_lock *pending;
} robust;

enum { OWNER_DIED = 0x40000000 };

static int die_with_locks(void *argument)
{
	uint32_t tid = (uint32_t)gettid();

	robust.first = &locks[0];
	locks[0] = (struct robust_lock){ &locks[1], tid };
	locks[1] = (struct robust_lock){ (struct robust_lock *)&robust, tid | 1U << 31 };
	locks[2].word = argument ? 12345 : tid;
	robust.offset = offsetof(struct robust_lock, word);
	robust.pending = &locks[2];
	if (syscall2(SYS_set_robust_list, &robust, sizeof(robust)) != 0)
		locks[2].word = 7;
	ready = 1;
	sleep_ms(20);
	return 0;
}

static int wait_for_lock(void *argument)
{
	uint32_t value;

	(void)argument;
	while (!ready)
		sched_yield();
	while (!((value = *(volatile uint32_t *)&locks[1].word) & OWNER_DIED))
		futex(&locks[1].word, FUTEX_WAIT, value, NULL);
	return 0;
}

static void test_robust(void)
{
	struct tarry_stats s;
	uint64_t head = 1, size = 0;

	EXPECT_EQ(syscall2(SYS_set_robust_list, &robust, 23), -EINVAL);
	EXPECT_EQ(syscall2(SYS_set_robust_list, &robust, sizeof(robust) + 1), -EINVAL);
	for (long not_ours = 0; not_ours < 2; not_ours++) {
		ready = 0;
		thread_start(&threads[0], wait_for_lock, NULL, 0);
		thread_start(&threads[1], die_with_locks, (void *)not_ours, 0);
		thread_join(&threads[1]);
		thread_join(&threads[0]);
		EXPECT_EQ(locks[0].word, OWNER_DIED);
		EXPECT_EQ(locks[1].word, OWNER_DIED | 1U << 31);
		EXPECT_EQ(locks[2].word, not_ours ? 12345 : OWNER_DIED);
	}
	EXPECT_EQ(syscall3(SYS_get_robust_list, 0, &head, &size), 0);
	EXPECT_EQ(size, 24);
	EXPECT_EQ(head, 0);
	if (stats(&s, sizeof(s)) < 0)
		SKIP("a real Linux checks these differently");
	EXPECT_EQ(syscall3(SYS_get_robust_list, 0x3fffffff, &head, &size), -ESRCH);
	EXPECT_EQ(syscall3(SYS_get_robust_list, 0, 8, &size), -EFAULT);
}

static const uint64_t bad_heads[] = { 8, 0x800000000000, 0xffffffff80000000, UINT64_MAX - 7 };

/* Lists that lead nowhere, or round in a circle: the thread ends all the same. */
static int die_with_bad_list(void *argument)
{
	long n = (long)argument;

	for (int i = 0; i < 3; i++)
		locks[i] = (struct robust_lock){ &locks[(i + 1) % 3], (uint32_t)gettid() };
	robust.first = n % 2 ? &locks[0] : (struct robust_lock *)bad_heads[n / 2 % 4];
	robust.offset = n < 4 ? (long)bad_heads[n] : 3;
	robust.pending = (struct robust_lock *)bad_heads[(n + 1) % 4];
	syscall2(SYS_set_robust_list, n == 8 ? (void *)24 : &robust, sizeof(robust));
	return 0;
}

static void test_bad_robust(void)
{
	for (long n = 0; n < 9; n++) {
		thread_start(&threads[0], die_with_bad_list, (void *)n, 0);
		thread_join(&threads[0]);
	}
}

/* --- What is refused --- */

static void test_flags(void)
{
	static const uint64_t unsupported[] = {
		0x1000, 0x2000, 0x8000, 0x20000, 0x800000, 0x2000000, 0x4000000, 0x8000000,
		0x10000000, 0x20000000, 0x40000000, 0x80000000, 1UL << 32, 1UL << 33, 1UL << 63,
	};

	EXPECT_EQ(syscall1(SYS_clone, CLONE_THREAD | CLONE_VM), -EINVAL);
	EXPECT_EQ(syscall1(SYS_clone, CLONE_SIGHAND), -EINVAL);
	if (!on_tarry())
		SKIP("Linux supports more");
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		EXPECT_EQ(syscall1(SYS_clone, unsupported[i] | SIGCHLD), -EINVAL);
		EXPECT_EQ(syscall1(SYS_clone, unsupported[i] | THREAD_FLAGS), -EINVAL);
	}
}

/* --- The fork bomb --- */

static volatile struct {
	uint32_t made, refused, errors, release;
} *bomb;

static _Noreturn void explode(void)
{
	for (;;) {
		long pid = fork();

		if (pid > 0)
			__sync_fetch_and_add(&bomb->made, 1);
		if (pid >= 0)
			continue;
		__sync_fetch_and_add(&bomb->refused, 1);
		if (pid != -EAGAIN)
			__sync_fetch_and_add(&bomb->errors, 1);
		while (!bomb->release)
			futex((void *)&bomb->release, FUTEX_WAIT, 0, NULL);
		exit(0);
	}
}

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* Every bomber sleeps when it is refused; the bomb is complete when all have been. */
static void test_bomb(void)
{
	uint64_t before, tasks;
	long pid;

	if (!on_tarry())
		SKIP("not on somebody's own machine");
	bomb = (void *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bomb->made = 0;
	before = counters().free_pages;
	tasks = counters().tasks;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		explode();
	}
	while (bomb->refused < bomb->made + 1)
		sleep_ms(5);
	EXPECT_EQ(bomb->errors, 0);
	EXPECT(bomb->made > 1000);
	EXPECT_EQ(fork(), -EAGAIN);
	printf("# %u processes, then EAGAIN\n", bomb->made + 1);
	kill(-(int)pid, SIGKILL);
	EXPECT_EQ(wait4((int)pid, NULL, 0), pid);
	for (int i = 0; i < 2000 && (counters().tasks > tasks || counters().free_pages < before); i++)
		sleep_ms(5);
	EXPECT_EQ(counters().tasks, tasks);
	EXPECT(counters().free_pages + 8 >= before);	/* the heap may keep a page of each kind */
	place = &places[0];
	end = &ends[0];
	expect_end("after a bomb, a thread", other_thread_ends_all);
	munmap((void *)bomb, PAGE_SIZE);
}

static const struct ktap_test tests[] = {
	{ "all ends in all places", test_orders }, { "one by one", test_one_by_one },
	{ "vfork", test_vfork }, { "set_tid_address", test_tid_address }, { "robust lists", test_robust },
	{ "robust lists: nonsense", test_bad_robust }, { "clone: flags", test_flags },
	{ "a fork bomb", test_bomb },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--exec") == 0)
		return gettid() == getpid() ? 55 : 56;
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
