/*
 * threads - clone with one memory, futexes, TLS. Catches: threads that get a copy instead
 * of the memory, a stack or FS base of somebody else, a futex wake-up that is lost, an
 * exit of one thread that ends all, or an exit_group that does not.
 */
#include "threads.h"

static volatile int lock_word, counter, go;

/* A lock in three states: free, taken, taken with sleepers. */
static void lock(void)
{
	int seen = __sync_val_compare_and_swap(&lock_word, 0, 1);

	while (seen != 0) {
		if (seen == 2 || __sync_val_compare_and_swap(&lock_word, 1, 2) != 0)
			futex((void *)&lock_word, FUTEX_WAIT | FUTEX_PRIVATE, 2, NULL);
		seen = __sync_val_compare_and_swap(&lock_word, 0, 2);
	}
}

static void unlock(void)
{
	if (__sync_lock_test_and_set(&lock_word, 0) == 2)
		futex((void *)&lock_word, FUTEX_WAKE | FUTEX_PRIVATE, 1, NULL);
}

static int count_up(void *argument)
{
	(void)argument;
	for (int i = 0; i < 500; i++) {
		int seen;

		lock();
		seen = counter;
		if (i % 50 == 0)
			sched_yield();		/* inside the lock: others must wait */
		counter = seen + 1;
		unlock();
	}
	return 0;
}

static void test_lock(void)
{
	counter = 0;
	for (int i = 0; i < THREADS; i++) {
		long r = thread_start(&threads[i], count_up, NULL, 0);

		EXPECT(r > 0);
		if (r < 0)
			return;
		EXPECT_EQ(threads[i].ptid, r);
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(&threads[i]);
	EXPECT_EQ(counter, THREADS * 500);
}

static volatile long seen_pid, seen_tid;
static int new_fd;
static char *new_page;

static int look_around(void *argument)
{
	seen_pid = getpid();
	seen_tid = gettid();
	new_fd = (int)dup(1);
	new_page = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	new_page[0] = *(char *)argument;
	return 0;
}

/* Catches: descriptors or mappings that only one thread sees. */
static void test_sharing(void)
{
	char c = 'S';

	EXPECT(thread_start(&threads[0], look_around, &c, 0) > 0);
	thread_join(&threads[0]);
	EXPECT_EQ(seen_pid, getpid());
	EXPECT(seen_tid != gettid());
	EXPECT_EQ(seen_tid, threads[0].ptid);
	EXPECT_EQ(close(new_fd), 0);
	EXPECT_EQ(new_page[0], 'S');
	EXPECT_EQ(munmap(new_page, PAGE_SIZE), 0);
}

static int check_tls(void *argument)
{
	uint64_t self;
	int wrong = 0;

	for (int i = 0; i < 300; i++) {
		__asm__ volatile("movq %%fs:0, %0" : "=r"(self));
		wrong += self != (uint64_t)((struct thread *)argument)->tls;
		sched_yield();
	}
	((struct thread *)argument)->tls[1] = (uint64_t)wrong;
	return 0;
}

/* Catches: an FS base that does not follow the thread. */
static void test_tls(void)
{
	for (int i = 0; i < THREADS; i++)
		EXPECT(thread_start(&threads[i], check_tls, &threads[i], CLONE_SETTLS) > 0);
	for (int i = 0; i < THREADS; i++) {
		thread_join(&threads[i]);
		EXPECT_EQ(threads[i].tls[1], 0);
	}
}

static void test_futex_errors(void)
{
	static uint32_t word = 5;
	struct timespec t = { 0, 20000000 }, bad = { 0, -1 };
	uint64_t start_ns = now_ns();

	EXPECT_EQ(futex(&word, FUTEX_WAIT, 4, NULL), -EAGAIN);
	EXPECT_EQ(futex((char *)&word + 1, FUTEX_WAIT, 5, NULL), -EINVAL);
	EXPECT_EQ(futex(&word, FUTEX_WAIT, 5, &bad), -EINVAL);
	EXPECT_EQ(futex(&word, FUTEX_WAKE, 1, NULL), 0);
	EXPECT_EQ(futex(&word, 77, 1, NULL), -ENOSYS);
	EXPECT_EQ(futex(&word, FUTEX_WAIT, 5, &t), -ETIMEDOUT);
	EXPECT(now_ns() - start_ns >= 20000000);
}

static volatile int sleepers, woken;
static uint32_t gate;

static int sleep_at_gate(void *argument)
{
	(void)argument;
	__sync_fetch_and_add(&sleepers, 1);
	while (*(volatile uint32_t *)&gate == 0)
		futex(&gate, FUTEX_WAIT | FUTEX_PRIVATE, 0, NULL);
	__sync_fetch_and_add(&woken, 1);
	return 0;
}

/* Catches: wake that wakes more or fewer than asked, or miscounts. */
static void test_wake_count(void)
{
	sleepers = woken = 0;
	gate = 0;
	for (int i = 0; i < THREADS; i++)
		thread_start(&threads[i], sleep_at_gate, NULL, 0);
	while (sleepers < THREADS)
		sched_yield();
	sleep_ms(50);
	EXPECT_EQ(woken, 0);
	gate = 1;
	EXPECT_EQ(futex(&gate, FUTEX_WAKE | FUTEX_PRIVATE, 2, NULL), 2);
	sleep_ms(50);
	EXPECT_EQ(woken, 2);
	EXPECT_EQ(futex(&gate, FUTEX_WAKE | FUTEX_PRIVATE, 1000, NULL), THREADS - 2);
	for (int i = 0; i < THREADS; i++)
		thread_join(&threads[i]);
	EXPECT_EQ(woken, THREADS);
}

static uint32_t *shared_gate;

/* A futex in shared memory joins processes as well. */
static void test_shared_futex(void)
{
	int status = -1;

	shared_gate = (uint32_t *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fork() == 0) {
		while (*(volatile uint32_t *)shared_gate == 0)
			futex(shared_gate, FUTEX_WAIT, 0, NULL);
		exit(6);
	}
	sleep_ms(30);
	*shared_gate = 1;
	EXPECT_EQ(futex(shared_gate, FUTEX_WAKE, 1, NULL), 1);
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 6 << 8);
	munmap(shared_gate, PAGE_SIZE);
}

static int leave_thread(void *argument) { (void)argument; return 3; }
static int leave_group(void *argument) { (void)argument; exit(44); }
static int crash(void *argument) { *(volatile int *)argument = 1; return 0; }
static int spin(void *argument)
{
	(void)argument;
	go = 1;
	while (go)
		__asm__ volatile("pause");
	return 0;
}

static void one_thread_exits(void)
{
	thread_start(&threads[0], leave_thread, NULL, 0);
	thread_join(&threads[0]);
	exit(33);
}

static void thread_ends_all(void)
{
	thread_start(&threads[0], leave_group, NULL, 0);
	for (;;)
		sleep_ms(1000);
}

static void thread_crashes(void)
{
	thread_start(&threads[0], crash, NULL, 0);
	for (;;)
		sleep_ms(1000);
}

static void leader_ends_all(void)
{
	thread_start(&threads[0], spin, NULL, 0);
	while (!go)
		sched_yield();
	exit(22);
}

/* The leader's own exit leaves the others running; their end is the process's. */
static int late(void *argument)
{
	(void)argument;
	sleep_ms(50);
	return 0;
}

static void leader_exits(void)
{
	thread_start(&threads[0], late, NULL, 0);
	exit_thread(11);
}

static void exec_with_threads(void)
{
	char *argv[] = { "threads", "--exec", NULL };

	thread_start(&threads[0], spin, NULL, 0);
	while (!go)
		sched_yield();
	execve((const char *)getauxval(AT_EXECFN), argv, environ);
}

static void test_exits(void)
{
	uint64_t before = now_ns();

	EXPECT(WIFEXITED(ktap_child(leader_exits)));
	EXPECT(now_ns() - before >= 50000000);
	EXPECT_EQ(ktap_child(one_thread_exits), 33 << 8);
	EXPECT_EQ(ktap_child(thread_ends_all), 44 << 8);
	EXPECT_EQ(ktap_child(thread_crashes) & 0x7f, SIGSEGV);
	EXPECT_EQ(ktap_child(leader_ends_all), 22 << 8);
	EXPECT_EQ(ktap_child(exec_with_threads), 55 << 8);
}

/* Catches: a thread whose kernel stack or task stays behind. */
static void test_many(void)
{
	for (int i = 0; i < 200; i++) {
		struct thread *t = &threads[i % THREADS];

		if (thread_start(t, leave_thread, NULL, 0) <= 0) {
			FAIL("thread %d", i);
			return;
		}
		thread_join(t);
	}
}

static void test_arguments(void)
{
	EXPECT_EQ(syscall1(SYS_clone, CLONE_THREAD | SIGCHLD), -EINVAL);
	EXPECT_EQ(syscall1(SYS_clone, CLONE_SIGHAND | SIGCHLD), -EINVAL);
}

static const struct ktap_test tests[] = {
	{ "a lock made of futexes", test_lock }, { "what threads share", test_sharing },
	{ "thread-local storage", test_tls }, { "futex: errors and timeout", test_futex_errors },
	{ "futex: how many wake", test_wake_count }, { "futex: shared memory", test_shared_futex },
	{ "exit, exit_group, crash, exec", test_exits }, { "200 threads", test_many },
	{ "clone: arguments", test_arguments },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--exec") == 0)
		return 55;
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
