/*
 * pkeys - protection keys: the three system calls, what a closed key refuses to user code and to
 * the kernel's copies, and PKRU as a register of each task. Catches: a PKRU that is switched later
 * than the task (the kernel copies with somebody else's keys), one that is switched with the rest
 * of the registers (an XRSTOR loses it), a value that does not survive, and keys not inherited.
 */
#include <xstate.h>
#include "ktap.h"

#define NEED_KEYS() do {						\
	if (!has_pkeys())						\
		SKIP("no protection keys");				\
} while (0)

enum { KEYS = 15, CLOSED = PKEY_DISABLE_ACCESS, READ_ONLY = PKEY_DISABLE_WRITE, OPEN = 0 };

#define RW	(PROT_READ | PROT_WRITE)

static char *page;			/* locked by `key` */
static int key;

/* A fresh page under a fresh key that is open for this task. */
static void lock_page(void)
{
	key = (int)pkey_alloc(0, 0);
	page = (char *)mmap(NULL, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(key > 0);
	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, key), 0);
	memcpy(page, "secret", 7);
}

static void unlock_page(void)
{
	EXPECT_EQ(munmap(page, PAGE_SIZE), 0);
	EXPECT_EQ(pkey_free(key), 0);
}

static void set_rights(uint32_t rights)
{
	wrpkru(pkru_with(rdpkru(), key, rights));
}

static void test_numbers(void)
{
	NEED_KEYS();
	for (int i = 1; i <= KEYS; i++)
		EXPECT_EQ(pkey_alloc(0, 0), i);
	EXPECT_EQ(pkey_alloc(0, 0), -ENOSPC);
	EXPECT_EQ(pkey_free(7), 0);
	EXPECT_EQ(pkey_free(7), -EINVAL);
	EXPECT_EQ(pkey_alloc(0, CLOSED | READ_ONLY), 7);
	EXPECT_EQ(rdpkru() >> 14 & 3, CLOSED | READ_ONLY);
	for (int i = 1; i <= KEYS; i++)
		EXPECT_EQ(pkey_free(i), 0);
	wrpkru(PKRU_DEFAULT);
}

static void test_refused(void)
{
	NEED_KEYS();
	EXPECT_EQ(pkey_alloc(1, 0), -EINVAL);
	EXPECT_EQ(pkey_alloc(0, 4), -EINVAL);
	EXPECT_EQ(pkey_free(-1), -EINVAL);
	EXPECT_EQ(pkey_free(5), -EINVAL);
	EXPECT_EQ(pkey_free(16), -EINVAL);
	lock_page();
	for (int i = -3; i < 40; i++)
		if (i != key && i != 0 && i != -1)
			EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, i), -EINVAL);
	EXPECT_EQ(pkey_mprotect(page + 1, PAGE_SIZE, RW, key), -EINVAL);
	EXPECT_EQ(pkey_mprotect((void *)0x10000, PAGE_SIZE, RW, key), -ENOMEM);
	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, 0), 0);
	set_rights(CLOSED);
	EXPECT_EQ(page[0], 's');		/* back under key 0 */
	unlock_page();
	wrpkru(PKRU_DEFAULT);
}

/* Key 0 is one like the others, but that everybody has it from the beginning. */
static void give_up_key_0(void)
{
	EXPECT_EQ(pkey_free(0), 0);
	EXPECT_EQ(pkey_free(0), -EINVAL);
	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, 0), -EINVAL);
	page[0] = 'S';				/* what carries it keeps it */
	EXPECT_EQ(pkey_alloc(0, 0), 0);
	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, 0), 0);
}

static void test_key_0(void)
{
	NEED_KEYS();
	lock_page();
	EXPECT_EQ(ktap_child(give_up_key_0), 0);
	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, 0), 0);	/* the child's was its own */
	unlock_page();
	wrpkru(PKRU_DEFAULT);
}

/* What the kernel does to the page in the name of the task: reads it, or writes it. */
static long kernel_access(int write_it)
{
	int fds[2];
	long r;

	pipe(fds);
	if (write_it) {
		write(fds[1], "public", 7);
		r = read(fds[0], page, 7);
	} else {
		r = write(fds[1], page, 7);
	}
	close(fds[0]);
	close(fds[1]);
	return r;
}

static int kind;			/* bits: AD, WD, page writable, access is a write */

static int allowed(void)
{
	return !(kind & 1) && (!(kind & 8) || (!(kind & 2) && kind & 4));
}

static void touch(void)
{
	if (kind & 8)
		*(volatile char *)page = 'x';
	else
		(void)*(volatile char *)page;
}

/* Each combination, by user code and by the kernel on its behalf. */
static void test_combinations(void)
{
	NEED_KEYS();
	for (kind = 0; kind < 16; kind++) {
		int status;
		long r;

		lock_page();
		pkey_mprotect(page, PAGE_SIZE, kind & 4 ? RW : PROT_READ, key);
		set_rights((uint32_t)kind & 3);
		status = ktap_child(touch);
		if (status != (allowed() ? 0 : SIGSEGV))
			FAIL("combination %d: status 0x%x", kind, (unsigned int)status);
		r = kernel_access(kind & 8);
		if (r != (allowed() ? 7 : -EFAULT))
			FAIL("combination %d: the kernel's access gave %ld", kind, r);
		unlock_page();
	}
	wrpkru(PKRU_DEFAULT);
}

/* A page that was never touched has the key, too; a copy-on-write does not lose it. */
static void write_untouched(void)
{
	set_rights(CLOSED);
	page[PAGE_SIZE - 1] = 1;
}

static void test_untouched(void)
{
	NEED_KEYS();
	lock_page();
	munmap(page, PAGE_SIZE);
	page = (char *)mmap(NULL, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pkey_mprotect(page, PAGE_SIZE, RW, key);
	EXPECT_EQ(ktap_child(write_untouched), SIGSEGV);
	EXPECT_EQ(page[0], 0);			/* now the shared page of zeroes */
	EXPECT_EQ(ktap_child(write_untouched), SIGSEGV);
	set_rights(CLOSED);
	EXPECT_EQ(kernel_access(1), -EFAULT);
	unlock_page();
	wrpkru(PKRU_DEFAULT);
}

static void child_inherits(void)
{
	EXPECT_EQ(rdpkru() >> 2 * key & 3, READ_ONLY);
	EXPECT_EQ(page[0], 's');
	EXPECT_EQ(kernel_access(1), -EFAULT);
	EXPECT_EQ(pkey_alloc(0, 0), key + 1);
}

static void test_fork(void)
{
	NEED_KEYS();
	lock_page();
	set_rights(READ_ONLY);
	EXPECT_EQ(ktap_child(child_inherits), 0);
	EXPECT_EQ(pkey_alloc(0, 0), key + 1);	/* the child's keys are its own */
	EXPECT_EQ(pkey_free(key + 1), 0);
	unlock_page();
	wrpkru(PKRU_DEFAULT);
}

static void test_exec(void)
{
	char *argv[] = { "pkeys", "--fresh", NULL };
	int status = -1;
	long pid;

	NEED_KEYS();
	pid = fork();
	if (pid == 0) {
		pkey_alloc(0, 0);
		wrpkru(0);
		execve((const char *)getauxval(AT_EXECFN), argv, environ);
		exit(99);
	}
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 0);
}

static int check_fresh(void)
{
	EXPECT_EQ(rdpkru(), PKRU_DEFAULT);
	EXPECT_EQ(pkey_alloc(0, 0), 1);
	return ktap_failed != 0;
}

/*
 * One task sleeps in read(), its buffer under the key; another has other rights and wakes it. The
 * kernel then copies in the name of the first before that one returns to user mode: with a PKRU
 * switched on the way to user mode, the copy would meet the second task's rights.
 */
static void read_after_switch(uint32_t reader, uint32_t writer, long expected)
{
	int fds[2], status = -1;
	long pid;

	lock_page();
	pipe(fds);
	pid = fork();
	if (pid == 0) {
		set_rights(writer);
		for (int i = 0; i < 20; i++) {
			sched_yield();		/* until the reader sleeps */
			sleep_ms(1);
			write(fds[1], "public", 7);
		}
		exit(0);
	}
	set_rights(reader);
	for (int i = 0; i < 20; i++) {
		long r = read(fds[0], page, 7);

		if (r != expected)
			FAIL("rights %u, the other's %u: read gave %ld", reader, writer, r);
		if (r < 0) {			/* the bytes are still there: out of the way */
			char drop[8];

			read(fds[0], drop, 7);
		}
	}
	close(fds[0]);
	close(fds[1]);
	kill((int)pid, SIGKILL);
	wait4((int)pid, &status, 0);
	set_rights(OPEN);
	unlock_page();
	wrpkru(PKRU_DEFAULT);
}

static void test_open_after_closed(void)
{
	NEED_KEYS();
	read_after_switch(OPEN, CLOSED, 7);
	read_after_switch(OPEN, READ_ONLY, 7);
}

static void test_closed_after_open(void)
{
	NEED_KEYS();
	read_after_switch(CLOSED, OPEN, -EFAULT);
	read_after_switch(READ_ONLY, OPEN, -EFAULT);
}

/*
 * PKRU = value, `turns` calls of number nr (or a spin), PKRU as it is then. No memory is touched:
 * the value may have closed it all.
 */
static uint32_t keep_pkru(uint32_t value, long nr, uint64_t turns)
{
	uint32_t before = rdpkru(), found, zero = 0, zero2 = 0;

	__asm__ volatile("wrpkru\n"
			 "1: testq %[nr], %[nr]\n"
			 "js 2f\n"
			 "movq %[nr], %%rax\n"
			 "syscall\n"
			 "2: decq %[turns]\n"
			 "jnz 1b\n"
			 "xorl %%ecx, %%ecx\n"
			 "rdpkru\n"
			 "movl %%eax, %[found]\n"
			 "movl %[before], %%eax\n"
			 "xorl %%edx, %%edx\n"
			 "wrpkru\n"
			 : [found] "=&r"(found), [turns] "+r"(turns), "+a"(value),
			   "+c"(zero), "+d"(zero2)
			 : [nr] "r"(nr), [before] "r"(before)
			 : "r11", "memory", "cc");
	return found;
}

/* Processes with different values, all bits in use, on one CPU. */
static void values_survive(long nr, uint64_t turns)
{
	enum { PROCESSES = 4, VALUES = 24 };
	int status;

	for (uint32_t p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			uint32_t value = p * 0x9e3779b9U, wrong = 0;

			for (int i = 0; i < VALUES; i++) {
				value = value * 1664525 + 1013904223;
				if (i == 0)
					value = p & 1 ? UINT32_MAX : 0;
				wrong += keep_pkru(value, nr, turns) != value;
			}
			exit(wrong != 0);
		}
	for (int i = 0; i < PROCESSES; i++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static void test_yields(void)
{
	NEED_KEYS();
	values_survive(SYS_sched_yield, 30);
}

static void test_preempted(void)
{
	NEED_KEYS();
	values_survive(-1, 400000);
}

/* A kernel thread, and nobody, run in between. */
static void test_kernel_thread(void)
{
	NEED_KEYS();
	for (int i = 0; i < 4; i++) {
		wrpkru(PKRU_DEFAULT & ~(0xcU << 2 * i));
		sleep_ms(2);
		EXPECT_EQ(rdpkru(), PKRU_DEFAULT & ~(0xcU << 2 * i));
		if (debug_allowed())
			debug(TARRY_DEBUG_WAKE, 2);
		EXPECT_EQ(rdpkru(), PKRU_DEFAULT & ~(0xcU << 2 * i));
	}
	wrpkru(PKRU_DEFAULT);
}

/* Key 0 covers all memory: a task that closes it is killed at its next access, and nobody else. */
static void close_everything(void)
{
	wrpkru(UINT32_MAX);
	(void)*(volatile char *)&page;
}

static void test_everything_closed(void)
{
	NEED_KEYS();
	EXPECT_EQ(ktap_child(close_everything), SIGSEGV);
}

/* An image without PKRU, restored with PKRU asked for: the initial value, 0, opens all. */
static void test_xrstor(void)
{
	static uint8_t image[8192] __attribute__((aligned(64)));

	NEED_KEYS();
	wrpkru(PKRU_DEFAULT);
	__asm__ volatile("xrstor %0" : : "m"(image), "a"((uint32_t)PKRU_BIT), "d"(0) : "memory");
	EXPECT_EQ(rdpkru(), 0);
	for (int i = 0; i < 5; i++) {
		sched_yield();
		sleep_ms(1);
		EXPECT_EQ(rdpkru(), 0);
	}
	wrpkru(PKRU_DEFAULT);
}

/* Code that can be run but not read: mprotect takes a key of its own for that, which nobody can free or use. */
static void execute_only(void)
{
	int (*code)(void);
	int first, status;

	page = (char *)mmap(NULL, 2 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code = (int (*)(void))(uint64_t)page;
	memcpy(page, "\xb8\x2a\0\0\0\xc3", 6);			/* mov $42, %eax; ret */
	first = (int)pkey_alloc(0, 0);
	EXPECT_EQ(first, 1);
	EXPECT_EQ(pkey_free(first), 0);
	EXPECT_EQ(syscall3(SYS_mprotect, page, PAGE_SIZE, PROT_EXEC), 0);
	EXPECT_EQ(code(), 42);
	EXPECT_EQ(rdpkru() >> 2 & 3, CLOSED);
	EXPECT_EQ(pkey_free(1), -EINVAL);
	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, RW, 1), -EINVAL);
	EXPECT_EQ(pkey_alloc(0, 0), 2);
	EXPECT_EQ(pkey_free(2), 0);
	if (fork() == 0)
		exit(code() + *(volatile char *)page);		/* killed: the child has inherited all of it */
	wait4(-1, &status, 0);
	EXPECT_EQ(status, SIGSEGV);
	EXPECT_EQ(syscall3(SYS_mprotect, page, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	EXPECT_EQ(*page, (char)0xb8);				/* back under key 0 */
	wrpkru(rdpkru() & ~0xcu);
	EXPECT_EQ(syscall3(SYS_mprotect, page + PAGE_SIZE, PAGE_SIZE, PROT_EXEC), 0);
	EXPECT_EQ(rdpkru() >> 2 & 3, CLOSED);			/* the same key again, and closed again */
	EXPECT_EQ(pkey_alloc(0, 0), 2);
}

static void test_execute_only(void)
{
	NEED_KEYS();
	EXPECT_EQ(ktap_child(execute_only), 0);
}

static const struct ktap_test tests[] = {
	{ "allocate and free", test_numbers }, { "what is refused", test_refused },
	{ "key 0 given up and got back", test_key_0 },
	{ "all combinations of rights", test_combinations },
	{ "pages not yet touched", test_untouched }, { "fork", test_fork }, { "exec", test_exec },
	{ "copy with an open key after a switch", test_open_after_closed },
	{ "copy with a closed key after a switch", test_closed_after_open },
	{ "every value across yields", test_yields },
	{ "every value across preemption", test_preempted },
	{ "across kernel threads and idle", test_kernel_thread },
	{ "everything closed", test_everything_closed },
	{ "execute-only memory", test_execute_only }, { "xrstor without PKRU", test_xrstor },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--fresh") == 0)
		return check_fresh();
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
