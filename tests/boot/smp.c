/*
 * smp - what CPUs tell each other. Catches: a call that a CPU does not answer, answers twice or that two callers
 * mix up; a page that another CPU goes on reading after it was unmapped, protected, copied or given away; page
 * tables that are freed while a CPU that only borrows them still has them. On one CPU nothing must go wrong either.
 */
#include "ktap.h"

#define CALLS		2000
#define WORD(page)	(*(volatile uint32_t *)(page))

static uint64_t others;			/* CPUs but our own */

static void *map(size_t pages)
{
	return (void *)mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Only idle CPUs look. If there is none, testall may still be printing what we said. */
static struct tarry_peek peek(const volatile void *address)
{
	struct tarry_peek p = { .address = (uint64_t)address };

	for (int i = 0; i < 500 && !p.readers && !p.faults; i++) {
		if (i)
			sleep_ms(1);
		EXPECT_EQ(debug(TARRY_DEBUG_PEEK, (uint64_t)&p), 0);
		if (!others)
			break;
	}
	return p;
}

/* All of the idle CPUs read that value there. */
static void expect_seen(const volatile void *address, uint32_t value)
{
	struct tarry_peek p = peek(address);

	EXPECT_EQ(p.faults, 0);
	EXPECT_EQ(p.sum, (uint64_t)p.readers * value);
	if (others && !p.readers)
		FAIL("none of %lu CPUs looked", others);
}

static void expect_nothing_seen(const volatile void *address)
{
	struct tarry_peek p = peek(address);

	EXPECT_EQ(p.readers, 0);
}

static int call_many(int from)
{
	for (int i = 0; i < CALLS / 100; i++)
		if (debug(TARRY_DEBUG_CALL, 100) != (long)(100 * others))
			return from;
	return 0;
}

static void test_calls(void)
{
	EXPECT_EQ(debug(TARRY_DEBUG_CALL, CALLS), CALLS * others);
}

/* Several processes call at the same time. */
static void test_callers(void)
{
	enum { CALLERS = 4 };

	for (int i = 1; i <= CALLERS; i++)
		if (fork() == 0)
			exit(call_many(i));
	for (int i = 0; i < CALLERS; i++) {
		int status = -1;

		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static void test_unmap(void)
{
	char *page = map(1);

	WORD(page) = 11;
	expect_seen(page, 11);
	munmap(page, PAGE_SIZE);
	expect_nothing_seen(page);
}

/* More pages than are invalidated one by one, and one page in the middle. */
static void test_unmap_many(void)
{
	enum { PAGES = 64 };
	char *pages = map(PAGES);

	for (int i = 0; i < PAGES; i++) {
		WORD(pages + i * PAGE_SIZE) = 20;
		expect_seen(pages + i * PAGE_SIZE, 20);
	}
	munmap(pages + 5 * PAGE_SIZE, PAGE_SIZE);
	expect_nothing_seen(pages + 5 * PAGE_SIZE);
	expect_seen(pages + 4 * PAGE_SIZE, 20);
	munmap(pages, PAGES * PAGE_SIZE);
	for (int i = 0; i < PAGES; i++)
		expect_nothing_seen(pages + i * PAGE_SIZE);
}

static void test_protect(void)
{
	char *page = map(1);

	WORD(page) = 30;
	expect_seen(page, 30);
	EXPECT_EQ(mprotect(page, PAGE_SIZE, PROT_NONE), 0);
	expect_nothing_seen(page);
	EXPECT_EQ(mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	expect_seen(page, 30);
	munmap(page, PAGE_SIZE);
}

/* The page of zeroes that a first read maps is replaced at the first write. */
static void test_zero_page(void)
{
	char *page = map(1);

	EXPECT_EQ(WORD(page), 0);
	expect_seen(page, 0);
	WORD(page) = 40;
	expect_seen(page, 40);
	munmap(page, PAGE_SIZE);
}

/* While a child shares the page, the parent's write gives the parent a new one. */
static void test_copy_on_write(void)
{
	char *page = map(1);
	int status = -1, pipe_fds[2];
	char byte;
	long pid;

	WORD(page) = 50;
	expect_seen(page, 50);
	EXPECT_EQ(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		read(pipe_fds[0], &byte, 1);	/* the old page is still in use when the parent writes */
		exit(WORD(page) != 50);
	}
	expect_seen(page, 50);
	WORD(page) = 51;
	expect_seen(page, 51);
	write(pipe_fds[1], "x", 1);
	EXPECT_EQ(wait4((int)pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	munmap(page, PAGE_SIZE);
}

static void test_dont_need(void)
{
	char *page = map(1);

	WORD(page) = 60;
	expect_seen(page, 60);
	EXPECT_EQ(madvise(page, PAGE_SIZE, MADV_DONTNEED), 0);
	expect_nothing_seen(page);
	WORD(page) = 61;
	expect_seen(page, 61);
	munmap(page, PAGE_SIZE);
}

/* A child lends its memory to all CPUs and dies; others use the freed pages for something else. */
static void test_borrowed(void)
{
	for (uint32_t i = 0; i < 50; i++) {
		int status = -1;
		char *pages;

		if (fork() == 0) {
			char *page = map(1);

			WORD(page) = 70 + i;
			expect_seen(page, 70 + i);
			exit(ktap_failed != 0);
		}
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
		pages = map(32);
		memset(pages, 0xff, 32 * PAGE_SIZE);
		EXPECT_EQ(debug(TARRY_DEBUG_CALL, 10), 10 * others);
		munmap(pages, 32 * PAGE_SIZE);
	}
}

/*
 * More kernel stacks than are kept, until all places for one have been used: then stacks stand where CPUs may
 * remember others. The calls' answers are counted on the caller's stack.
 */
static void test_kernel_stacks(void)
{
	enum { CHILDREN = 250, ROUNDS = 10 };

	for (int round = 0; round < ROUNDS; round++) {
		int fds[2];
		char byte;

		pipe(fds);
		for (int i = 0; i < CHILDREN; i++)
			if (fork() == 0) {
				close(fds[1]);
				read(fds[0], &byte, 1);
				exit(debug(TARRY_DEBUG_CALL, 3) != (long)(3 * others));
			}
		close(fds[1]);
		close(fds[0]);
		for (int i = 0; i < CHILDREN; i++) {
			int status = -1;

			wait4(-1, &status, 0);
			EXPECT_EQ(status, 0);
		}
	}
}

static const struct ktap_test tests[] = {
	{ "calls", test_calls },
	{ "calls from several processes", test_callers },
	{ "unmap", test_unmap },
	{ "unmap many pages", test_unmap_many },
	{ "protect", test_protect },
	{ "the page of zeroes", test_zero_page },
	{ "copy on write", test_copy_on_write },
	{ "MADV_DONTNEED", test_dont_need },
	{ "borrowed page tables", test_borrowed },
	{ "kernel stacks", test_kernel_stacks },
};

int main(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	others = s.cpus - 1;
	if (!debug_allowed()) {
		puts("1..0 # SKIP needs the debug call");
		return 0;
	}
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
