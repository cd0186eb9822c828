/*
 * efault - every system call that takes a pointer, with every kind of wrong pointer. Each
 * must answer EFAULT, or what Linux says first, and the kernel must live. Catches: user
 * copies without a range check, checks that forget the length or its overflow, missing
 * fault fix-ups, writes through read-only mappings, canonical checks done with a sign
 * slip, and strings read past the end of their mapping.
 */
#include "ktap.h"

enum direction { IN, OUT };	/* as the kernel sees it: IN is read, OUT is written */

/* Stand for file descriptors made anew for each call. */
enum { FD_READ = -1000, FD_WRITE = -1001, FD_FILE = -1002, FD_DIR = -1003, POINTER = -1004,
       VALID = -1005 };

struct probe {
	const char *name;
	long nr, args[6];
	size_t size;			/* what the kernel reads or writes there */
	enum direction direction;
	char null_ok, required, aligned;	/* aligned: EINVAL comes first if it is not */
};

static const struct probe probes[] = {
	{ "read", SYS_read, { FD_READ, POINTER, 64 }, 64, OUT, 0, 1, 0 },
	{ "write", SYS_write, { FD_WRITE, POINTER, 64 }, 64, IN, 0, 1, 0 },
	{ "readv: vector", SYS_readv, { FD_READ, POINTER, 1 }, 16, IN, 0, 1, 0 },
	{ "writev: vector", SYS_writev, { FD_WRITE, POINTER, 1 }, 16, IN, 0, 1, 0 },
	{ "pread64", SYS_pread64, { FD_FILE, POINTER, 64, 0 }, 64, OUT, 0, 0, 0 },
	{ "open", SYS_open, { POINTER, O_RDONLY, 0 }, 2, IN, 0, 1, 0 },
	{ "openat", SYS_openat, { AT_FDCWD, POINTER, O_RDONLY, 0 }, 2, IN, 0, 1, 0 },
	{ "stat: path", SYS_stat, { POINTER, VALID }, 2, IN, 0, 0, 0 },
	{ "newfstatat: path", SYS_newfstatat, { AT_FDCWD, POINTER, VALID, 0 }, 2, IN, 0, 1, 0 },
	{ "newfstatat: buffer", SYS_newfstatat, { FD_FILE, (long)"", POINTER, AT_EMPTY_PATH },
	  sizeof(struct stat), OUT, 0, 1, 0 },
	{ "fstat", SYS_fstat, { FD_FILE, POINTER }, sizeof(struct stat), OUT, 0, 1, 0 },
	{ "getdents64", SYS_getdents64, { FD_DIR, POINTER, 1024 }, 1024, OUT, 0, 1, 0 },
	{ "access", SYS_access, { POINTER, 0 }, 2, IN, 0, 0, 0 },
	{ "chdir", SYS_chdir, { POINTER }, 2, IN, 0, 1, 0 },
	{ "getcwd", SYS_getcwd, { POINTER, 1024 }, 2, OUT, 0, 1, 0 },
	{ "readlink: path", SYS_readlink, { POINTER, VALID, 64 }, 2, IN, 0, 0, 0 },
	{ "ioctl TCGETS", SYS_ioctl, { 0, TCGETS, POINTER }, 36, OUT, 0, 1, 0 },
	{ "ioctl TCSETS", SYS_ioctl, { 0, TCSETS, POINTER }, 36, IN, 0, 1, 0 },
	{ "ioctl TIOCGWINSZ", SYS_ioctl, { 0, TIOCGWINSZ, POINTER }, 8, OUT, 0, 1, 0 },
	{ "pipe", SYS_pipe, { POINTER }, 8, OUT, 0, 1, 0 },
	{ "pipe2", SYS_pipe2, { POINTER, O_CLOEXEC }, 8, OUT, 0, 1, 0 },
	{ "nanosleep", SYS_nanosleep, { POINTER, 0 }, 16, IN, 0, 1, 0 },
	{ "clock_nanosleep", SYS_clock_nanosleep, { CLOCK_MONOTONIC, 0, POINTER, 0 }, 16, IN,
	  0, 1, 0 },
	{ "clock_gettime", SYS_clock_gettime, { CLOCK_MONOTONIC, POINTER }, 16, OUT, 0, 1, 0 },
	{ "clock_getres", SYS_clock_getres, { CLOCK_MONOTONIC, POINTER }, 16, OUT, 1, 0, 0 },
	{ "gettimeofday", SYS_gettimeofday, { POINTER, 0 }, 16, OUT, 1, 0, 0 },
	{ "time", SYS_time, { POINTER }, 8, OUT, 1, 0, 0 },
	{ "uname", SYS_uname, { POINTER }, sizeof(struct utsname), OUT, 0, 0, 0 },
	{ "execve: path", SYS_execve, { POINTER, 0, 0 }, 2, IN, 0, 1, 0 },
	{ "execve: argv", SYS_execve, { VALID, POINTER, 0 }, 16, IN, 1, 1, 0 },
	{ "execve: envp", SYS_execve, { VALID, 0, POINTER }, 16, IN, 1, 1, 0 },
	{ "futex: word", SYS_futex, { POINTER, FUTEX_WAIT | FUTEX_PRIVATE, 1, 0 }, 4, IN,
	  0, 1, 1 },
	{ "futex: timeout", SYS_futex, { VALID, FUTEX_WAIT | FUTEX_PRIVATE, 0, POINTER }, 16, IN,
	  1, 1, 0 },
	{ "sched_getaffinity", SYS_sched_getaffinity, { 0, 128, POINTER }, 8, OUT, 0, 0, 0 },
	{ "arch_prctl GET_FS", SYS_arch_prctl, { ARCH_GET_FS, POINTER }, 8, OUT, 0, 0, 0 },
	{ "getrandom", SYS_getrandom, { POINTER, 64, 0 }, 64, OUT, 0, 0, 0 },
	{ "stats", TARRY_SYS_STATS, { POINTER, sizeof(struct tarry_stats) },
	  sizeof(struct tarry_stats), OUT, 0, 1, 0 },
	{ "update", TARRY_SYS_UPDATE, { POINTER }, sizeof(struct tarry_update), IN, 0, 0, 0 },
};

enum { UNMAPPED, PROTECTED, READ_ONLY, END, TOP, FIRST_FIXED };

static struct wrong {
	const char *name;
	uint64_t address;
} wrongs[] = {
	[UNMAPPED] = { "unmapped", 0 }, [PROTECTED] = { "PROT_NONE", 0 },
	[READ_ONLY] = { "read-only", 0 }, [END] = { "last byte of a mapping", 0 },
	[TOP] = { "last byte of user space", 0 },
	[FIRST_FIXED] = { "NULL", 0 }, { "1", 1 }, { "end of user space", 0x7ffffffff000 },
	{ "first non-canonical", 0x800000000000 }, { "non-canonical, positive", 0x4141414141414141 },
	{ "non-canonical, negative", 0x8000000000000000 },
	{ "last non-canonical", 0xffff7fffffffffff }, { "kernel half", 0xffff800000000000 },
	{ "kernel half, middle", 0xffffc00000000000 }, { "kernel image", 0xffffffff80000000 },
	{ "kernel image + 1 MiB", 0xffffffff80100000 }, { "last page", 0xfffffffffffff000 },
	{ "last byte", 0xffffffffffffffff },
};

static char self[256];			/* a file that exists: this program */
static const char program[] = "/bin/true";	/* what execve would start if it could */
static char *scratch;			/* a good page for the other pointers of a call */
static char *last_bytes[2];		/* those of END and of TOP, if TOP could be mapped */

/* They must never end a string. */
static void fill_last_bytes(void)
{
	for (int i = 0; i < 2; i++)
		if (last_bytes[i])
			*last_bytes[i] = 'a';
}

static int readable(const char *p)
{
	int fds[2], r;

	pipe(fds);
	r = write(fds[1], p, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return r;
}

/* The last page of user space may be the stack's, ours now, or nobody's. */
static void map_top(void)
{
	char *top = (char *)0x7fffffffe000;
	long got;

	wrongs[TOP].address = (uint64_t)top + PAGE_SIZE - 1;
	got = mmap(top, PAGE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (got > 0 && got != (long)top)
		munmap((void *)got, PAGE_SIZE);
	if (readable(top + PAGE_SIZE - 1))
		last_bytes[1] = top + PAGE_SIZE - 1;
}

static void make_wrongs(void)
{
	char *p = (char *)mmap(NULL, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	snprintf(self, sizeof(self), "%s", (const char *)getauxval(AT_EXECFN));
	scratch = p;
	memset(p, 'a', 8 * PAGE_SIZE);
	munmap(p + 2 * PAGE_SIZE, PAGE_SIZE);
	mprotect(p + 4 * PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	mprotect(p + 6 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	wrongs[UNMAPPED].address = (uint64_t)p + 2 * PAGE_SIZE + 64;
	wrongs[PROTECTED].address = (uint64_t)p + 4 * PAGE_SIZE + 64;
	wrongs[READ_ONLY].address = (uint64_t)p + 6 * PAGE_SIZE + 64;
	wrongs[END].address = (uint64_t)p + 2 * PAGE_SIZE - 1;
	last_bytes[0] = p + 2 * PAGE_SIZE - 1;
	map_top();
}

/* In a child, in case it works: then /bin/true ends with 0. */
static long try_execve(long path, long argv, long envp)
{
	int status = -1;
	long pid = fork();

	if (pid == 0)
		exit((int)-syscall3(SYS_execve, path, argv, envp));
	wait4((int)pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static long call(const struct probe *p, uint64_t pointer)
{
	long a[6], r;
	int fds[2];
	long file = open(self, O_RDONLY), dir = open("/", O_RDONLY | O_DIRECTORY);

	pipe(fds);
	write(fds[1], scratch + PAGE_SIZE, 64);
	memset(scratch, 0, PAGE_SIZE);
	fill_last_bytes();
	for (int i = 0; i < 6; i++)
		a[i] = p->args[i] == FD_READ ? fds[0] : p->args[i] == FD_WRITE ? fds[1] :
		       p->args[i] == FD_FILE ? file : p->args[i] == FD_DIR ? dir :
		       p->args[i] == POINTER ? (long)pointer :
		       p->args[i] == VALID ? (long)scratch : p->args[i];
	if (p->nr == SYS_execve && p->args[0] == VALID)
		a[0] = (long)program;
	r = p->nr == SYS_execve ? try_execve(a[0], a[1], a[2]) :
	    syscall6(p->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	close(fds[0]);
	close(fds[1]);
	close((int)file);
	close((int)dir);
	return r;
}

static int applies(const struct probe *p, const struct wrong *w)
{
	if (w == &wrongs[READ_ONLY])
		return p->direction == OUT;
	if (w == &wrongs[FIRST_FIXED] && p->null_ok)
		return 0;
	return 1;
}

/* Files may be read in part: Linux tells how much. Never more than the one good byte. */
static int partial_ok(const struct probe *p, const struct wrong *w, long r)
{
	return (p->nr == SYS_pread64 || p->nr == SYS_getrandom) && r == 1 &&
	       (w == &wrongs[END] || w == &wrongs[TOP]);
}

static void run_probe(const struct probe *p)
{
	long first = call(p, 0xffff800000000000);

	if (first == -ENOSYS && (!p->required || !on_tarry()))
		SKIP("not implemented");
	if (first == -ENOTTY && !on_tarry())
		SKIP("no terminal");
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		long r;

		if (!applies(p, w))
			continue;
		r = call(p, w->address);
		if (r == -EFAULT || partial_ok(p, w, r) ||
		    (p->aligned && (w->address & 3) && r == -EINVAL))
			continue;
		FAIL("%s pointer 0x%lx: %ld", w->name, w->address, r);
	}
}

/* The vector is good, what it points to is not. */
static void test_iovec(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		struct iovec v = { (void *)wrongs[i].address, 64 };
		int fds[2];
		long r;

		pipe(fds);
		write(fds[1], scratch + PAGE_SIZE, 64);
		r = syscall3(SYS_readv, fds[0], &v, 1);
		if (r != -EFAULT)
			FAIL("readv, %s: %ld", wrongs[i].name, r);
		r = i == READ_ONLY ? -EFAULT : syscall3(SYS_writev, fds[1], &v, 1);
		if (r != -EFAULT)
			FAIL("writev, %s: %ld", wrongs[i].name, r);
		close(fds[0]);
		close(fds[1]);
	}
}

/* argv is good, a string in it is not. */
static void test_exec_strings(void)
{
	char *const none[] = { NULL };

	fill_last_bytes();
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		char *argv[] = { "x", (char *)wrongs[i].address, NULL };

		if (i == READ_ONLY || i == FIRST_FIXED)	/* NULL ends the list */
			continue;
		if (try_execve((long)program, (long)argv, (long)none) != -EFAULT)
			FAIL("argv, %s", wrongs[i].name);
		if (try_execve((long)program, (long)none, (long)argv) != -EFAULT)
			FAIL("envp, %s", wrongs[i].name);
	}
}

static void test_wait_status(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		long pid = fork(), r;

		if (pid == 0)
			exit(0);
		r = wait4((int)pid, (int *)wrongs[i].address, 0);
		if (r != (i == FIRST_FIXED ? pid : -EFAULT))
			FAIL("status, %s: %ld", wrongs[i].name, r);
		wait4((int)pid, NULL, 0);	/* in case the refusal left it unreaped */
	}
}

/* address + length wraps or leaves user space, though the first byte is good */
static void test_lengths(void)
{
	static const uint64_t lengths[] = { UINT64_MAX, UINT64_MAX - 4095, 1UL << 63,
					    (1UL << 63) - 1, 1UL << 48 };
	int fds[2];

	pipe(fds);
	write(fds[1], scratch + PAGE_SIZE, 64);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		EXPECT_EQ(read(fds[0], scratch, lengths[i]), -EFAULT);
		EXPECT_EQ(write(fds[1], scratch, lengths[i]), -EFAULT);
	}
	close(fds[0]);
	close(fds[1]);
}

static void run_next_probe(void)
{
	static int next;

	run_probe(&probes[next++]);
}

int main(void)
{
	static const struct ktap_test others[] = {
		{ "readv and writev: buffers", test_iovec },
		{ "execve: strings", test_exec_strings }, { "wait4: status", test_wait_status },
		{ "lengths that overflow", test_lengths },
	};
	static struct ktap_test tests[ARRAY_SIZE(probes) + ARRAY_SIZE(others)];

	make_wrongs();
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		tests[i] = others[i];
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		tests[ARRAY_SIZE(others) + i] = (struct ktap_test){ probes[i].name, run_next_probe };
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
