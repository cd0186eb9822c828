/*
 * mm - the memory of a process: mmap, munmap, mprotect, brk, stack, fork. Catches: wrong
 * splits, pages that keep old bytes, copy-on-write that leaks a write to the other side
 * (also a write by the kernel), lengths that overflow, pages that are not given back.
 */
#include "ktap.h"

#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

static char *volatile area;	/* what a child of a test is to touch */

static char *map(size_t pages, int prot)
{
	return (char *)mmap(NULL, pages * PAGE_SIZE, prot, ANON, -1, 0);
}

static void touch_read(void) { (void)*(volatile char *)area; }
static void touch_write(void) { *(volatile char *)area = 1; }
static void touch_call(void) { ((void (*)(void))area)(); }

/* Whether touching p in a child kills it with SIGSEGV. */
static int faults(void (*touch)(void), char *p)
{
	area = p;
	return ktap_child(touch) == SIGSEGV;
}

/* Catches: a missing check of an argument; an overflow in rounding up to pages. */
static void test_mmap_arguments(void)
{
	char *p = map(1, RW);

	EXPECT_EQ(mmap(NULL, 0, RW, ANON, -1, 0), -EINVAL);
	EXPECT_EQ(mmap(NULL, PAGE_SIZE, RW, MAP_ANONYMOUS, -1, 0), -EINVAL);
	EXPECT_EQ(mmap(NULL, PAGE_SIZE, RW, ANON, -1, 1), -EINVAL);
	EXPECT_EQ(mmap(NULL, UINT64_MAX, RW, ANON, -1, 0), -ENOMEM);
	EXPECT_EQ(mmap(NULL, UINT64_MAX - PAGE_SIZE, RW, ANON, -1, 0), -ENOMEM);
	EXPECT_EQ(mmap(NULL, 1UL << 63, RW, ANON, -1, 0), -ENOMEM);
	EXPECT_EQ(mmap(NULL, 1UL << 47, RW, ANON, -1, 0), -ENOMEM);
	EXPECT_EQ(mmap(p + 1, PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0), -EINVAL);
	EXPECT_EQ(mmap((void *)0x7ffffffff000, PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0), -ENOMEM);
	EXPECT_EQ(mmap((void *)0x7fffffffe000, 2 * PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0),
		  -ENOMEM);
	EXPECT_EQ(mmap((void *)0xffff800000000000, PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0),
		  -ENOMEM);
	EXPECT_EQ(mmap((void *)0xffffffffffffe000, 4 * PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0),
		  -ENOMEM);
	EXPECT_EQ(mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, 99, 0), -EBADF);
	EXPECT_EQ(munmap(p, PAGE_SIZE), 0);
}

static void test_munmap_arguments(void)
{
	char *p = map(1, RW);

	EXPECT_EQ(munmap(p, 0), -EINVAL);
	EXPECT_EQ(munmap(p + 1, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(munmap(p, UINT64_MAX), -EINVAL);
	EXPECT_EQ(munmap((void *)0xffff800000000000, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(munmap((void *)0x7ffffffff000, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(munmap((void *)0x8000000000000000, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(munmap(p, 1), 0);			/* a byte stands for its page */
	EXPECT_EQ(munmap(p, PAGE_SIZE), 0);		/* nothing there any more: fine */
	EXPECT(faults(touch_read, p));
}

/* Catches: unmapping the wrong part, or all, of a mapping. */
static void test_split(void)
{
	char *p = map(7, RW);

	for (int i = 0; i < 7; i++)
		p[(size_t)i * PAGE_SIZE] = (char)(i + 1);
	EXPECT_EQ(munmap(p + 2 * PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT_EQ(munmap(p + 4 * PAGE_SIZE, PAGE_SIZE), 0);
	for (int i = 0; i < 7; i++) {
		if (i == 2 || i == 4)
			EXPECT(faults(touch_read, p + (size_t)i * PAGE_SIZE));
		else
			EXPECT_EQ(p[(size_t)i * PAGE_SIZE], i + 1);
	}
	EXPECT_EQ(munmap(p, 7 * PAGE_SIZE), 0);		/* over the holes */
	EXPECT(faults(touch_read, p));
	EXPECT(faults(touch_read, p + 6 * PAGE_SIZE));
}

/* Catches: neighbours merged although they differ, or not seen as one range. */
static void test_merge(void)
{
	char *p = map(4, PROT_NONE);

	for (int i = 3; i >= 0; i--)
		EXPECT_EQ(mmap(p + (size_t)i * PAGE_SIZE, PAGE_SIZE, i == 1 ? PROT_READ : RW,
			       ANON | MAP_FIXED, -1, 0), p + (size_t)i * PAGE_SIZE);
	EXPECT(!faults(touch_write, p));
	EXPECT(faults(touch_write, p + PAGE_SIZE));
	EXPECT(!faults(touch_write, p + 2 * PAGE_SIZE));
	EXPECT_EQ(mprotect(p, 4 * PAGE_SIZE, RW), 0);
	memset(p, 7, 4 * PAGE_SIZE);
	EXPECT_EQ(mprotect(p + PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ), 0);
	EXPECT(!faults(touch_write, p + 3 * PAGE_SIZE));
	EXPECT(faults(touch_write, p + 2 * PAGE_SIZE));
	EXPECT_EQ(p[2 * PAGE_SIZE], 7);
	munmap(p, 4 * PAGE_SIZE);
}

/* Catches: a stale TLB entry, a page-table bit that outlives the protection. */
static void test_mprotect(void)
{
	char *p = map(3, RW);

	memset(p, 5, 3 * PAGE_SIZE);
	EXPECT_EQ(mprotect(p + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	EXPECT(faults(touch_write, p + PAGE_SIZE));
	EXPECT(!faults(touch_read, p + PAGE_SIZE));
	EXPECT_EQ(mprotect(p + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	EXPECT(faults(touch_read, p + PAGE_SIZE));
	EXPECT_EQ(mprotect(p + PAGE_SIZE, PAGE_SIZE, RW), 0);
	EXPECT_EQ(p[PAGE_SIZE], 5);			/* the bytes are still there */
	p[PAGE_SIZE] = 6;
	EXPECT(faults(touch_call, p));
	EXPECT_EQ(mprotect(p + 1, PAGE_SIZE, RW), -EINVAL);
	EXPECT_EQ(mprotect(p, 0, PROT_READ), 0);
	munmap(p + PAGE_SIZE, PAGE_SIZE);
	EXPECT_EQ(mprotect(p, 3 * PAGE_SIZE, RW), -ENOMEM);
	EXPECT_EQ(mprotect((void *)0xffff800000000000, PAGE_SIZE, RW), -ENOMEM);
	EXPECT_EQ(mprotect(p, UINT64_MAX - PAGE_SIZE, RW), -ENOMEM);
	munmap(p, 3 * PAGE_SIZE);
}

/* Catches: MAP_FIXED that keeps old pages, or refuses what it must replace. */
static void test_fixed(void)
{
	char *p = map(4, RW);

	memset(p, 9, 4 * PAGE_SIZE);
	EXPECT_EQ(mmap(p + PAGE_SIZE, 2 * PAGE_SIZE, RW, ANON | MAP_FIXED, -1, 0), p + PAGE_SIZE);
	EXPECT_EQ(p[PAGE_SIZE - 1], 9);
	EXPECT_EQ(p[PAGE_SIZE], 0);
	EXPECT_EQ(p[3 * PAGE_SIZE - 1], 0);
	EXPECT_EQ(p[3 * PAGE_SIZE], 9);
	EXPECT_EQ(mmap(p, PAGE_SIZE, PROT_NONE, ANON | MAP_FIXED, -1, 0), p);
	EXPECT(faults(touch_read, p));
	munmap(p, 4 * PAGE_SIZE);
}

/* Catches: a page handed out with somebody's bytes in it. */
static void test_zero(void)
{
	for (int round = 0; round < 3; round++) {
		char *p = map(64, RW);
		int dirty = 0;

		for (size_t i = 0; i < 64 * PAGE_SIZE; i += 8)
			dirty += *(uint64_t *)(p + i) != 0;
		EXPECT_EQ(dirty, 0);
		memset(p, 0xa5, 64 * PAGE_SIZE);
		munmap(p, 64 * PAGE_SIZE);
	}
}

static void test_dontneed(void)
{
	char *p = map(2, RW);
	long r;

	memset(p, 3, 2 * PAGE_SIZE);
	r = syscall3(SYS_madvise, p, PAGE_SIZE, MADV_DONTNEED);
	EXPECT(r == 0 || r == -ENOSYS);
	EXPECT_EQ(p[0], r == 0 ? 0 : 3);
	EXPECT_EQ(p[PAGE_SIZE], 3);
	munmap(p, 2 * PAGE_SIZE);
}

/* Catches: brk that answers an error (Linux answers the old end), stale pages above it. */
static void test_brk(void)
{
	char *start = (char *)brk(NULL), *base = (char *)(((long)start + 4095) & -4096L);

	EXPECT_EQ(brk(base + 8 * PAGE_SIZE), base + 8 * PAGE_SIZE);
	memset(base, 4, 8 * PAGE_SIZE);
	EXPECT_EQ(brk(base + PAGE_SIZE), base + PAGE_SIZE);
	EXPECT(faults(touch_read, base + 2 * PAGE_SIZE));
	EXPECT_EQ(brk(base + 8 * PAGE_SIZE), base + 8 * PAGE_SIZE);
	EXPECT_EQ(base[0], 4);
	EXPECT_EQ(base[2 * PAGE_SIZE], 0);
	EXPECT_EQ(brk((void *)1), base + 8 * PAGE_SIZE);
	EXPECT_EQ(brk((void *)0x7ffffffff000), base + 8 * PAGE_SIZE);
	EXPECT_EQ(brk((void *)UINT64_MAX), base + 8 * PAGE_SIZE);
	EXPECT_EQ(brk((void *)0xffff800000000000), base + 8 * PAGE_SIZE);
	EXPECT_EQ(brk(start), start);
}

static volatile size_t stack_depth;

/* Uses a bit more than 4 KiB of stack a level. */
static __attribute__((noinline)) int descend(size_t bytes)
{
	volatile char here[PAGE_SIZE];

	here[0] = (char)bytes;
	if (bytes > PAGE_SIZE)
		return descend(bytes - PAGE_SIZE) + here[0];
	return here[0];
}

static void use_stack(void)
{
	descend(stack_depth);
}

/* Catches: a stack that does not grow to 8 MiB, or that grows without end. */
static void test_stack(void)
{
	stack_depth = 7UL << 20;
	EXPECT_EQ(ktap_child(use_stack), 0);
	stack_depth = 64UL << 20;
	EXPECT_EQ(ktap_child(use_stack), SIGSEGV);
}

static char *shared_page;
static int channel[2];

static void scribble(void)
{
	char *p = area;

	for (size_t i = 0; i < 16; i++)
		EXPECT_EQ(p[i * PAGE_SIZE], 1);
	memset(p, (int)getpid(), 16 * PAGE_SIZE);
	EXPECT_EQ(read(channel[0], p + PAGE_SIZE, 4), 4);	/* the kernel writes, too */
}

/* Catches: a child's write, or the kernel's for it, that shows in the parent. */
static void test_cow(void)
{
	char *p = map(16, RW);

	memset(p, 1, 16 * PAGE_SIZE);
	area = p;
	pipe(channel);
	for (int i = 0; i < 8; i++) {
		write(channel[1], "KERN", 4);
		EXPECT_EQ(ktap_child(scribble), 0);
	}
	for (size_t i = 0; i < 16 * PAGE_SIZE; i++)
		if (p[i] != 1)
			FAIL("byte %zu is %d", i, p[i]);
	close(channel[0]);
	close(channel[1]);
	munmap(p, 16 * PAGE_SIZE);
}

/* The parent and 12 children write to the same pages at the same time, in turns. */
static void test_cow_many(void)
{
	enum { CHILDREN = 12, PAGES = 32 };
	uint64_t *p = (uint64_t *)map(PAGES, RW);
	int status;

	memset(p, 0, PAGES * PAGE_SIZE);
	for (uint64_t c = 0; c <= CHILDREN; c++) {
		if (c < CHILDREN && fork() != 0) {
			p[c] = c;		/* breaks the sharing again */
			continue;
		}
		for (int round = 0; round < 5; round++) {
			for (size_t i = 0; i < PAGES; i++)
				p[i * 512 + 100] = c * 1000 + i;
			sched_yield();
			for (size_t i = 0; i < PAGES; i++)
				if (p[i * 512 + 100] != c * 1000 + i)
					FAIL("process %lu lost page %zu", c, i);
		}
		if (c < CHILDREN)
			exit(ktap_failed);
	}
	for (int c = 0; c < CHILDREN; c++) {
		EXPECT(wait4(-1, &status, 0) > 0);
		EXPECT_EQ(status, 0);
	}
	munmap(p, PAGES * PAGE_SIZE);
}

static void write_shared(void)
{
	shared_page[0]++;
	shared_page[PAGE_SIZE] = 'x';
}

/* Catches: MAP_SHARED treated as private; a page first touched after the fork. */
static void test_shared(void)
{
	shared_page = (char *)mmap(NULL, 2 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared_page[0] = 1;
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(ktap_child(write_shared), 0);
	EXPECT_EQ(shared_page[0], 4);
	EXPECT_EQ(shared_page[PAGE_SIZE], 'x');
	munmap(shared_page, 2 * PAGE_SIZE);
}

/* Catches: a list of mappings that breaks when there are many, in a child as well. */
static void test_many_mappings(void)
{
	char *p = map(256, PROT_NONE);

	for (size_t i = 0; i < 256; i += 2)
		EXPECT_EQ(mprotect(p + i * PAGE_SIZE, PAGE_SIZE, RW), 0);
	for (size_t i = 0; i < 256; i += 2)
		p[i * PAGE_SIZE] = 1;
	EXPECT(!faults(touch_write, p + 254 * PAGE_SIZE));
	EXPECT(faults(touch_read, p + 255 * PAGE_SIZE));
	munmap(p, 256 * PAGE_SIZE);
}

static uint64_t free_pages(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s.free_pages + s.heap_pages;
}

/* Waits a moment for what is given back late; returns how many pages are missing. */
static long missing_since(uint64_t before)
{
	for (int i = 0; i < 50 && free_pages() != before; i++)
		sleep_ms(10);
	return (long)(before - free_pages());
}

static void dirty_pages(void)
{
	char *p = map(200, RW);

	memset(p, 1, 200 * PAGE_SIZE);
	stack_depth = 1UL << 20;
	use_stack();
	mprotect(p, 100 * PAGE_SIZE, PROT_READ);
	munmap(p + 50 * PAGE_SIZE, PAGE_SIZE);
	if (fork() == 0)
		exit(0);
	wait4(-1, NULL, 0);
}

/* Catches: pages, page tables, stacks or mappings that exit, unmap or fork forget. */
static void test_leak(void)
{
	uint64_t before = 0;

	if (!on_tarry())
		SKIP("only Tarry counts its pages");
	for (int i = 0; i < 30; i++) {
		if (i == 5)
			before = free_pages();
		ktap_child(dirty_pages);
		munmap(map(2000, RW), 2000 * PAGE_SIZE);
		munmap(memset(map(300, RW), 1, 300 * PAGE_SIZE), 300 * PAGE_SIZE);
	}
	EXPECT_EQ(missing_since(before), 0);
}

static void take_everything(void)
{
	struct tarry_stats s = { 0 };
	char *p;

	stats(&s, sizeof(s));
	p = (char *)mmap(NULL, s.total_pages * PAGE_SIZE * 2, RW, ANON | MAP_NORESERVE, -1, 0);
	if ((long)p < 0)
		exit(77);			/* refused at once: as good */
	for (size_t i = 0; i < s.total_pages * 2; i++)
		p[i * PAGE_SIZE] = 1;
}

/* Catches: a panic, a hang or a lost page when memory runs out. */
static void test_out_of_memory(void)
{
	uint64_t before;
	int status;

	if (!on_tarry())
		SKIP("would disturb this machine");
	before = free_pages();
	status = ktap_child(take_everything);
	EXPECT(WIFSIGNALED(status) || WEXITSTATUS(status) == 77);
	EXPECT_EQ(missing_since(before), 0);
}

static const struct ktap_test tests[] = {
	{ "mmap: arguments", test_mmap_arguments }, { "munmap: arguments", test_munmap_arguments },
	{ "splitting a mapping", test_split }, { "neighbouring mappings", test_merge },
	{ "mprotect", test_mprotect }, { "MAP_FIXED over mappings", test_fixed },
	{ "fresh pages are zero", test_zero }, { "MADV_DONTNEED", test_dontneed },
	{ "brk", test_brk }, { "the stack grows to 8 MiB", test_stack },
	{ "copy on write", test_cow }, { "copy on write, many processes", test_cow_many },
	{ "MAP_SHARED across fork", test_shared }, { "many mappings", test_many_mappings },
	{ "no page is lost", test_leak }, { "out of memory", test_out_of_memory },
};

KTAP_MAIN(tests)
