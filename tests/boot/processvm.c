/*
 * processvm - process_vm_readv and process_vm_writev: as Linux's, but that they obey the other task's protection
 * keys. Catches: a copy that goes past a key or a read-only page, or by the wrong task's keys; one that is all or
 * nothing where Linux stops half-way, or says nothing of it; a list of buffers that is believed.
 */
#include <sigcontext.h>
#include <xstate.h>
#include "ktap.h"

#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
#define PAGES	6
#define LOOKS	3000
#define STACK_SIZE (16 * PAGE_SIZE)

/* Each child inherits its own of them: two to write, none, one to read, one without rights, one with a key. */
static char *pages;
enum { FIRST, SECOND, HOLE, READ_ONLY, FORBIDDEN, KEY };

static int there[2], back[2], other;
static char buffer[4 * PAGE_SIZE];

static char *page(int n) { return pages + (size_t)n * PAGE_SIZE; }

static long copy(long nr, const struct iovec *local, long nlocal, const struct iovec *remote, long nremote)
{
	return syscall6(nr, other, (long)local, nlocal, (long)remote, nremote, 0);
}

static long get(void *to, const void *from, size_t n)
{
	struct iovec local = { to, n }, remote = { (void *)from, n };

	return copy(SYS_process_vm_readv, &local, 1, &remote, 1);
}

static long put(void *to, const void *from, size_t n)
{
	struct iovec local = { (void *)from, n }, remote = { to, n };

	return copy(SYS_process_vm_writev, &local, 1, &remote, 1);
}

/* A child that does what it is told by a letter, says that it has, and sleeps until the next one. */
static void obey(int key)
{
	char order = 0;

	while (read(there[0], &order, 1) == 1) {
		if (order == 'q')
			exit(memcmp(page(FIRST), "written", 7) != 0);
		if (order >= '0' && order <= '3')
			wrpkru(pkru_with(rdpkru(), key, (uint32_t)(order - '0')));
		write(back[1], &order, 1);
	}
	exit(3);
}

static void tell(char order)
{
	write(there[1], &order, 1);
	read(back[0], &order, 1);
}

static void start(int key)
{
	pages = (char *)mmap(NULL, PAGES * PAGE_SIZE, RW, ANON, -1, 0);
	for (int i = 0; i < PAGES; i++)
		memset(page(i), 'a' + i, PAGE_SIZE);
	munmap(page(HOLE), PAGE_SIZE);
	mprotect(page(READ_ONLY), PAGE_SIZE, PROT_READ);
	mprotect(page(FORBIDDEN), PAGE_SIZE, PROT_NONE);
	if (key > 0)
		pkey_mprotect(page(KEY), PAGE_SIZE, RW, key);
	pipe(there);
	pipe(back);
	other = (int)fork();
	if (!other)
		obey(key);
	memset(page(FIRST), '-', 2 * PAGE_SIZE);	/* no longer what the child has */
}

static void end(int status)
{
	write(there[1], "q", 1);
	EXPECT_EQ(wait_status(other), status);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	munmap(pages, PAGES * PAGE_SIZE);
}

static void copies(void)
{
	struct iovec local[3], remote[2];

	start(0);
	EXPECT_EQ(get(buffer, page(FIRST), 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	EXPECT(buffer[0] == 'a' && buffer[PAGE_SIZE - 1] == 'a' && buffer[PAGE_SIZE] == 'b');
	local[0] = (struct iovec){ buffer + 9, 3 };
	local[1] = (struct iovec){ buffer, 0 };
	local[2] = (struct iovec){ buffer + 1, 5 };
	remote[0] = (struct iovec){ page(SECOND) - 2, 4 };
	remote[1] = (struct iovec){ page(FIRST), 100 };
	EXPECT_EQ(copy(SYS_process_vm_readv, local, 3, remote, 2), 8);
	EXPECT(!memcmp(buffer + 9, "aab", 3) && !memcmp(buffer + 1, "baaaa", 5) && buffer[6] == 'a');
	EXPECT_EQ(put(page(FIRST), "written", 7), 7);
	EXPECT_EQ(page(FIRST)[0], '-');
	end(0);
}

/* Everything up to the first byte that can't be had, and EFAULT only if that is the first of all. */
static void partial(void)
{
	struct iovec local = { buffer, sizeof(buffer) };
	struct iovec remote[2] = { { page(FIRST), 10 }, { NULL, 10 } };
	char *hole;

	start(0);
	remote[0] = (struct iovec){ page(FIRST), 10 };
	EXPECT_EQ(get(buffer, page(SECOND) + 10, 2 * PAGE_SIZE), PAGE_SIZE - 10);
	EXPECT_EQ(get(buffer, page(HOLE), 10), -EFAULT);
	EXPECT_EQ(get(buffer, page(FORBIDDEN), 10), -EFAULT);
	EXPECT_EQ(get(buffer, page(READ_ONLY), 10), 10);
	EXPECT_EQ(put(page(READ_ONLY), buffer, 10), -EFAULT);
	EXPECT_EQ(put(page(HOLE) - 4, buffer, 10), 4);
	EXPECT_EQ(get(buffer, (void *)0xffffffff80000000, 10), -EFAULT);
	EXPECT_EQ(copy(SYS_process_vm_readv, &local, 1, remote, 2), 10);
	hole = (char *)mmap(NULL, 2 * PAGE_SIZE, RW, ANON, -1, 0);
	munmap(hole + PAGE_SIZE, PAGE_SIZE);
	EXPECT_EQ(get(hole + PAGE_SIZE - 6, page(FIRST), 10), 6);
	EXPECT_EQ(get(hole + PAGE_SIZE, page(FIRST), 10), -EFAULT);
	EXPECT_EQ(put(page(FIRST), hole + PAGE_SIZE - 6, 10), 6);
	munmap(hole, PAGE_SIZE);
	put(page(FIRST), "written", 7);
	end(0);
}

static void refused(void)
{
	static struct iovec many[1025];
	struct iovec good = { buffer, 8 }, negative = { buffer, 1ul << 63 },
		     kernel = { (void *)0xffffffff80000000, 8 };
	long nr = SYS_process_vm_readv;
	int alive;

	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct iovec){ page(FIRST), i == 1023 };
	EXPECT_EQ(copy(nr, &good, 1, many, 1024), 1);
	EXPECT_EQ(copy(nr, &good, 1, many, 1025), -EINVAL);
	EXPECT_EQ(copy(nr, many, 1025, &good, 1), -EINVAL);
	EXPECT_EQ(copy(nr, &negative, 1, &good, 1), -EINVAL);
	EXPECT_EQ(copy(nr, &good, 1, &negative, 1), -EINVAL);
	EXPECT_EQ(copy(nr, &kernel, 1, &good, 1), -EFAULT);
	EXPECT_EQ(copy(nr, (void *)page(HOLE), 1, &good, 1), -EFAULT);
	EXPECT_EQ(copy(nr, &good, 1, (void *)page(HOLE), 1), -EFAULT);
	EXPECT_EQ(copy(nr, NULL, 0, &good, 1), 0);
	EXPECT_EQ(copy(nr, &good, 1, NULL, 0), 0);
	EXPECT_EQ(syscall6(nr, other, (long)&good, 1, (long)&good, 1, 1), -EINVAL);
	alive = other;
	other = 0x7ffffff0;
	EXPECT_EQ(copy(nr, &good, 1, &good, 1), -ESRCH);
	other = alive;
	put(page(FIRST), "written", 7);
	end(0);
	EXPECT_EQ(copy(nr, &good, 1, &good, 1), -ESRCH);
}

/* The keys that count are the other one's as it went to sleep, and our own for our side. */
static void keys(void)
{
	int key = (int)pkey_alloc(0, 0);
	char *own = (char *)mmap(NULL, PAGE_SIZE, RW, ANON, -1, 0);
	uint32_t before;

	if (key < 0 || !on_tarry()) {
		munmap(own, PAGE_SIZE);
		SKIP("no protection keys, or Linux, which does not look at them");
	}
	stay_on_cpus(ONE_CPU);	/* who has answered sleeps before we go on */
	start(key);
	before = rdpkru();
	wrpkru(pkru_with(before, key, PKEY_DISABLE_ACCESS));
	tell('0');
	EXPECT_EQ(get(buffer, page(KEY), 8), 8);
	EXPECT_EQ(put(page(KEY), buffer, 8), 8);
	wrpkru(pkru_with(before, key, 0));
	tell('1');
	EXPECT_EQ(get(buffer, page(KEY), 8), -EFAULT);
	EXPECT_EQ(put(page(KEY), buffer, 8), -EFAULT);
	EXPECT_EQ(get(buffer, page(KEY) - 4, 8), -EFAULT);
	EXPECT_EQ(get(buffer, page(FIRST), 8), 8);
	tell('2');
	EXPECT_EQ(get(buffer, page(KEY), 8), 8);
	EXPECT_EQ(put(page(KEY), buffer, 8), -EFAULT);
	tell('0');
	EXPECT_EQ(put(page(KEY), buffer, 8), 8);
	pkey_mprotect(own, PAGE_SIZE, RW, key);
	wrpkru(pkru_with(before, key, PKEY_DISABLE_WRITE));
	EXPECT_EQ(get(own, page(FIRST), 8), -EFAULT);
	EXPECT_EQ(put(page(FIRST), own, 8), 8);
	wrpkru(pkru_with(before, key, PKEY_DISABLE_ACCESS));
	EXPECT_EQ(put(page(FIRST), own, 8), -EFAULT);
	wrpkru(before);
	put(page(FIRST), "written", 7);
	end(0);
	munmap(own, PAGE_SIZE);
	pkey_free(key);
	stay_on_cpus(ALL_CPUS);
}

static void do_nothing(int signal) { (void)signal; }

/* Closes the key and takes signals on a stack whose pages are not there, so that pushing the frame waits. */
static void take_signals(int key, volatile int *ready)
{
	struct stack stack = { (void *)mmap(NULL, STACK_SIZE, RW, ANON, -1, 0), 0, 0, STACK_SIZE };

	syscall2(SYS_sigaltstack, &stack, NULL);
	set_handler(SIGUSR1, do_nothing, SA_ONSTACK, 0);
	wrpkru(pkru_with(rdpkru(), key, PKEY_DISABLE_ACCESS));
	for (;;) {
		madvise(stack.sp, STACK_SIZE, MADV_DONTNEED);
		kill((int)getpid(), SIGUSR1);
		*ready = 1;
	}
}

/* While the kernel writes a frame it has all keys open: that is nobody else's business. */
static void frames(void)
{
	int key = (int)pkey_alloc(0, 0);
	volatile int *ready = (int *)mmap(NULL, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (key < 0 || !on_tarry()) {
		munmap((void *)ready, PAGE_SIZE);
		SKIP("no protection keys, or Linux, which does not look at them");
	}
	pages = (char *)mmap(NULL, PAGES * PAGE_SIZE, RW, ANON, -1, 0);
	pkey_mprotect(page(KEY), PAGE_SIZE, RW, key);
	other = (int)fork();
	if (!other)
		take_signals(key, ready);
	while (!*ready)
		sched_yield();
	sleep_ms(2);				/* it has left its CPU with the key closed */
	for (int i = 0; i < LOOKS; i++)
		EXPECT_EQ(get(buffer, page(KEY), 8), -EFAULT);
	kill(other, SIGKILL);
	EXPECT_EQ(wait_status(other), 128 + SIGKILL);
	munmap((void *)ready, PAGE_SIZE);
	munmap(pages, PAGES * PAGE_SIZE);
	pkey_free(key);
}

static const struct ktap_test tests[] = {
	{ "copies between lists of buffers", copies },
	{ "as far as it goes", partial },
	{ "what is refused", refused },
	{ "the protection keys of both sides", keys },
	{ "and not those of the kernel while it writes a frame", frames },
};

KTAP_MAIN(tests)
