/*
 * nomem - running out of memory at every single point. The n-th allocation of a system call fails,
 * for n = 1, 2, ... until the call succeeds. Each failure must be ENOMEM, and cost no page, no heap
 * page, no task and no descriptor. Catches: an allocation nobody checks, a failure that keeps what
 * was made before it, one that is reported as something else, an exec that gives up the old
 * program too early.
 */
#include "ktap.h"

#define MAX_POINTS	200
#define RW		(PROT_READ | PROT_WRITE)
#define ANON		(MAP_PRIVATE | MAP_ANONYMOUS)
#define STACK_SIZE	(4 * PAGE_SIZE)
#define SLEEPERS	40
#define TRIES		3
enum { SYS_modify_ldt = 154, MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2 };

/* One call with the n-th allocation failing. left: 0 if it came to that. */
struct attempt {
	long nr, a[6];
	long n, thread;			/* thread: what comes back with 0 ends at once */
	long left, result;
};

/*
 * Plan, call, and ask what is left of the plan: in one piece, because compiled code in between
 * could make a page fault, whose allocation must not be the one that fails.
 */
static void try(struct attempt *t)
{
	register long r10 __asm__("r10"), r8 __asm__("r8"), r9 __asm__("r9");
	long result = TARRY_SYS_DEBUG, left;

	*(volatile long *)&t->left = 0;		/* the page is ours before it starts */
	__asm__ volatile(
		"movl %[fail], %%edi\n movq 56(%[t]), %%rsi\n syscall\n"
		"movq 0(%[t]), %%rax\n movq 8(%[t]), %%rdi\n movq 16(%[t]), %%rsi\n"
		"movq 24(%[t]), %%rdx\n movq 32(%[t]), %%r10\n movq 40(%[t]), %%r8\n"
		"movq 48(%[t]), %%r9\n syscall\n"
		"testq %%rax, %%rax\n jnz 1f\n cmpq $0, 64(%[t])\n je 1f\n"
		"movl %[exit], %%eax\n xorl %%edi, %%edi\n syscall\n"
		"1: movq %%rax, %%rbx\n"
		"movl %[debug], %%eax\n movl %[fail], %%edi\n xorl %%esi, %%esi\n syscall\n"
		: "+a"(result), "=&b"(left), "=r"(r10), "=r"(r8), "=r"(r9)
		: [t] "r"(t), [fail] "i"(TARRY_DEBUG_FAIL_ALLOC), [debug] "i"(TARRY_SYS_DEBUG),
		  [exit] "i"(SYS_exit)
		: "rcx", "r11", "rdi", "rsi", "rdx", "memory", "cc");
	t->result = left;			/* rbx: what the call gave */
	t->left = result;			/* rax: what was left */
}

_Static_assert(offsetof(struct attempt, n) == 56, "the asm knows the offsets");
_Static_assert(offsetof(struct attempt, thread) == 64, "the asm knows the offsets");

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

static int same_as(const struct tarry_stats *before)
{
	struct tarry_stats now = counters();

	return now.free_pages + now.heap_pages >= before->free_pages + before->heap_pages &&
	       now.heap_objects <= before->heap_objects && now.tasks <= before->tasks;
}

/*
 * Ended tasks and kernel threads give their memory back a moment later, on a busy host a long one; those of an earlier
 * call may have been counted before. And somebody beside us may get memory of its own, once: 0, try again. What leaks
 * does so each time.
 */
static int given_back(const char *what, long n, const struct tarry_stats *before)
{
	static int tries;
	struct tarry_stats now;

	for (int i = 0; i < 5000 && !same_as(before); i++)
		sleep_ms(1);
	now = counters();
	if (!same_as(before) && ++tries < TRIES)
		return 0;
	if (!same_as(before))
		FAIL("%s, allocation %ld failed: of %lu pages, %lu objects, %lu tasks came %lu, %lu, %lu",
		     what, n, before->free_pages + before->heap_pages, before->heap_objects,
		     before->tasks, now.free_pages + now.heap_pages, now.heap_objects, now.tasks);
	tries = 0;
	return 1;
}

/* Walks through the allocations of a call; undo takes back what its success made. */
static void walk(const char *what, struct attempt t, void (*undo)(struct attempt *t), long least)
{
	long n;

	for (n = 1; n < MAX_POINTS; n++) {
		struct tarry_stats before = counters();

		t.n = n;
		try(&t);
		if (t.left || t.result != -ENOMEM)	/* even if it could do without */
			break;
		if (!given_back(what, n, &before))
			n--;
	}
	if (t.result < 0 && !t.left)
		FAIL("%s, allocation %ld failed: %ld", what, n, t.result);
	EXPECT(n < MAX_POINTS);
	if (n - 1 < least)
		FAIL("%s: only %ld allocations", what, n - 1);
	if (undo)
		undo(&t);
	printf("# %s: %ld points\n", what, n - 1);
}

#define NEED_DEBUG() do {							\
	if (debug(TARRY_DEBUG_FAIL_ALLOC, 0) < 0)				\
		SKIP("no debug calls");						\
} while (0)

static void reap(struct attempt *t)
{
	if (t->result == 0)
		exit(0);
	EXPECT_EQ(wait4((int)t->result, NULL, 0), t->result);
}

/*
 * The kernel keeps some stacks of ended tasks for the next ones; children that sleep use them up, so
 * that new ones have to be made.
 */
static void occupy_stacks(long pids[SLEEPERS])
{
	for (int i = 0; i < SLEEPERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			for (;;)
				sleep_ms(100000);
		EXPECT(pids[i] > 0);
	}
}

static void release_stacks(long pids[SLEEPERS])
{
	for (int i = 0; i < SLEEPERS; i++) {
		kill((int)pids[i], SIGKILL);
		wait4((int)pids[i], NULL, 0);
	}
}

/* Some memory of all kinds, so that there are tables, areas and pages to copy. */
static void test_fork(void)
{
	static const uint32_t segment[4] = { 3, 0, 0, 1 };
	long pids[SLEEPERS];
	char *p = (char *)mmap((void *)0x200000000, 600 * PAGE_SIZE, RW, ANON, -1, 0);

	NEED_DEBUG();
	EXPECT_EQ(syscall3(SYS_modify_ldt, 0x11, segment, sizeof(segment)), 0);
	for (int i = 0; i < 600; i += 30)
		p[i * (long)PAGE_SIZE] = 1;
	occupy_stacks(pids);
	walk("fork", (struct attempt){ .nr = SYS_fork }, reap, 10);
	release_stacks(pids);
	walk("clone", (struct attempt){ .nr = SYS_clone, .a = { SIGCHLD } }, reap, 10);
	munmap(p, 600 * PAGE_SIZE);
}

static volatile int thread_tid;

static void join(struct attempt *t)
{
	(void)t;
	while (thread_tid)
		futex((void *)&thread_tid, FUTEX_WAIT, (uint32_t)thread_tid, NULL);
}

static void test_thread(void)
{
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		     CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	char *stack = (char *)mmap(NULL, STACK_SIZE, RW, ANON, -1, 0);
	long pids[SLEEPERS];

	NEED_DEBUG();
	occupy_stacks(pids);
	thread_tid = 1;
	walk("thread", (struct attempt){ .nr = SYS_clone, .a = { flags, (long)stack + STACK_SIZE, 0,
			(long)&thread_tid }, .thread = 1 }, join, 4);
	release_stacks(pids);
	munmap(stack, STACK_SIZE);
}

/* In a child each: 1 if exec failed as it should, 55 from the new program. */
static void test_exec(void)
{
	static char *argv[] = { "nomem", "--exec", NULL };
	long n;
	int status = 1 << 8;

	NEED_DEBUG();
	for (n = 1; n < MAX_POINTS && status == 1 << 8; n++) {
		struct tarry_stats before = counters();
		long pid = fork();

		if (pid == 0) {
			struct attempt t = { SYS_execve, { (long)getauxval(AT_EXECFN), (long)argv,
						(long)environ }, n, 0, 0, 0 };

			try(&t);
			exit(t.result == -ENOMEM && !t.left ? 1 : 2);
		}
		wait4((int)pid, &status, 0);
		if (!given_back("exec", n, &before))
			n--;
	}
	EXPECT_EQ(status, 55 << 8);
	EXPECT(n > 10);
	printf("# exec: %ld points\n", n - 2);
}

/* An integer-only program needs an fpstate more for a new program of the other kind. */
static void test_exec_integer_only(void)
{
	char number[8], *argv[] = { "intcrash", "starve", number, "/test/nomem", "--exec", NULL };
	int n, status = 1 << 8;

	NEED_DEBUG();
	for (n = 1; n < MAX_POINTS && status == 1 << 8; n++) {
		struct tarry_stats before = counters();
		long pid;

		snprintf(number, sizeof(number), "%d", n);
		pid = fork();
		if (pid == 0) {
			execve("/bin/intcrash", argv, environ);
			exit(2);
		}
		wait4((int)pid, &status, 0);
		if (!given_back("exec", n, &before))
			n--;
	}
	EXPECT_EQ(status, 55 << 8);
	EXPECT(n > 10);
}

static char *area;

static void unmap_result(struct attempt *t)
{
	EXPECT_EQ(munmap((void *)t->result, (size_t)t->a[1]), 0);
}

static void make_area(struct attempt *t)
{
	(void)t;
	area = (char *)mmap((void *)0x300000000, 16 * PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0);
	memset(area, 'a', 16 * PAGE_SIZE);
}

/* The middle of an area: it must be split first. After a failure all is still there. */
static void test_memory(void)
{
	long middle = (long)0x300000000 + 4 * (long)PAGE_SIZE;

	NEED_DEBUG();
	walk("mmap", (struct attempt){ .nr = SYS_mmap, .a = { 0, 5 * PAGE_SIZE, PROT_READ, ANON,
			-1, 0 } }, unmap_result, 1);
	walk("mmap, shared", (struct attempt){ .nr = SYS_mmap, .a = { 0, 600 * PAGE_SIZE, RW,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0 } }, unmap_result, 3);
	make_area(NULL);
	walk("mmap, fixed", (struct attempt){ .nr = SYS_mmap, .a = { middle, PAGE_SIZE, PROT_READ,
			ANON | MAP_FIXED, -1, 0 } }, make_area, 2);
	walk("munmap", (struct attempt){ .nr = SYS_munmap, .a = { middle, PAGE_SIZE } }, make_area,
	     2);
	walk("mremap", (struct attempt){ .nr = SYS_mremap, .a = { middle, PAGE_SIZE, PAGE_SIZE,
			MREMAP_MAYMOVE | MREMAP_FIXED, 0x300100000 } }, make_area, 3);
	EXPECT_EQ(*(char *)0x300100000, 'a');
	munmap((void *)0x300100000, PAGE_SIZE);
	walk("mprotect", (struct attempt){ .nr = SYS_mprotect, .a = { middle, PAGE_SIZE,
			PROT_READ } }, make_area, 2);
	for (size_t i = 0; i < 16 * PAGE_SIZE; i++)
		if (area[i] != 'a') {
			FAIL("byte %lu of the area is lost", i);
			break;
		}
	munmap(area, 16 * PAGE_SIZE);
}

static int fds[2];

static void close_both(struct attempt *t)
{
	(void)t;
	close(fds[0]);
	close(fds[1]);
}

static void close_result(struct attempt *t)
{
	close((int)t->result);
}

static void test_files(void)
{
	static struct tarry_crypt crypt_call = { .packets = 2, .flags = TARRY_CRYPT_WORKER };
	static uint8_t avx[256];
	static struct tarry_update update_call = { .component = 2, .size = sizeof(avx), .value = (uint64_t)avx };
	long lowest = dup(1);

	NEED_DEBUG();
	close((int)lowest);
	walk("update", (struct attempt){ .nr = TARRY_SYS_UPDATE, .a = { (long)&update_call } }, NULL, 1);
	walk("pipe", (struct attempt){ .nr = SYS_pipe, .a = { (long)fds } }, close_both, 4);
	walk("open", (struct attempt){ .nr = SYS_open, .a = { (long)"/", O_RDONLY } },
	     close_result, 1);
	crypt_call.input = (uint64_t)&crypt_call;
	crypt_call.size = 64;
	walk("crypt", (struct attempt){ .nr = TARRY_SYS_CRYPT, .a = { (long)&crypt_call } }, NULL,
	     1);
	EXPECT_EQ(dup(1), lowest);		/* no descriptor was left open */
	close((int)lowest);
}

static const struct ktap_test tests[] = {
	{ "fork", test_fork }, { "a new thread", test_thread }, { "exec", test_exec },
	{ "exec from an integer-only program", test_exec_integer_only },
	{ "areas", test_memory }, { "files", test_files },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--exec") == 0)
		return 55;
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
