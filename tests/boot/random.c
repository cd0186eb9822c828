/*
 * random - 20,000 system calls with random numbers and arguments, in children, from a
 * generator with a fixed seed. The kernel must live, every child must end, and no page may
 * be lost. Catches what nobody thought of.
 */
#include "ktap.h"

enum { TOTAL = 20000, CALLS = 250, MAX_CHILDREN = 1000 };

static uint64_t state;
static volatile uint64_t *done;		/* calls that came back, counted by the children */

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Known calls; what would end, stop or multiply the child is not among them. */
static const long known[] = {
	SYS_read, SYS_write, SYS_open, SYS_close, SYS_stat, SYS_fstat, SYS_lseek, SYS_mmap,
	SYS_mprotect, SYS_munmap, SYS_brk, SYS_ioctl, SYS_pread64, SYS_readv, SYS_writev,
	SYS_access, SYS_pipe, SYS_sched_yield, SYS_mremap, SYS_madvise, SYS_dup, SYS_dup2,
	SYS_getpid, SYS_execve, SYS_wait4, SYS_uname, SYS_fcntl, SYS_getcwd, SYS_chdir,
	SYS_readlink, SYS_gettimeofday, SYS_getppid, SYS_arch_prctl, SYS_gettid, SYS_time,
	SYS_futex, SYS_sched_setaffinity, SYS_sched_getaffinity, SYS_getdents64,
	SYS_set_tid_address, SYS_clock_gettime, SYS_clock_getres, SYS_openat,
	SYS_newfstatat, SYS_readlinkat, SYS_pipe2, SYS_prlimit64, SYS_getrandom,
	SYS_rt_sigaction, SYS_nanosleep, SYS_clock_nanosleep, SYS_kill, SYS_tgkill, SYS_clone,
	SYS_setpgid, SYS_getcpu, SYS_set_robust_list, SYS_get_robust_list, TARRY_SYS_IPC_CALL,
	TARRY_SYS_IPC_REPLY_WAIT, TARRY_SYS_STATS, TARRY_SYS_CRYPT,
};

static char *arena;

static uint64_t argument(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 4095, 4096, 0x7fffffff, 0x80000000, 0xffffffff, 0x7ffffffff000,
		0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0xffffffff80000000,
		INT64_MAX, 1UL << 63, UINT64_MAX, UINT64_MAX - 4095,
	};
	uint64_t r = next();

	switch (r % 6) {
	case 0: return edges[(r >> 8) % ARRAY_SIZE(edges)];
	case 1: return (r >> 8) % 8;
	case 2: return (uint64_t)arena + (r >> 8) % (16 * PAGE_SIZE);
	case 3: return ((uint64_t)arena + (r >> 8) % (16 * PAGE_SIZE)) & ~4095UL;
	case 4: return 1UL << (r >> 8) % 64;
	default: return next();
	}
}

/* Makes calls harmless for everybody but the child itself. */
static int tame(long nr, uint64_t a[6])
{
	switch (nr) {
	case SYS_kill: case SYS_tgkill:
		a[0] = 0x3fffffff;		/* nobody */
		break;
	case SYS_clone:
		a[0] = (a[0] | CLONE_THREAD) & ~(uint64_t)CLONE_SIGHAND;	/* never valid */
		break;
	case SYS_mmap:
		a[1] &= 0xffffff;		/* many small ones rather than one refusal */
		break;
	case SYS_setpgid: case SYS_sched_setaffinity: case SYS_prlimit64:
		a[0] = 0x3fffffff;
		break;
	}
	return nr != SYS_fork && nr != SYS_vfork && nr != SYS_exit && nr != SYS_exit_group &&
	       nr != SYS_pause && nr != TARRY_SYS_DEBUG && nr != SYS_clone3;
}

static void run_child(uint64_t seed)
{
	int on_linux = !on_tarry(), fds[2];

	/* Nothing that anybody else reads or writes stays open. */
	for (int i = 0; i < 3; i++)
		close(i);
	open("/", O_RDONLY | O_DIRECTORY);
	open((const char *)getauxval(AT_EXECFN), O_RDONLY);
	pipe(fds);
	state = seed * 0x9e3779b97f4a7c15 + 1;
	arena = (char *)mmap(NULL, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < 16 * PAGE_SIZE / 8; i += 64)
		((uint64_t *)arena)[i] = next();
	for (int i = 0; i < CALLS; i++) {
		uint64_t r = next(), a[6];
		long nr = known[(r >> 8) % ARRAY_SIZE(known)];

		if (r % 8 == 0 && !on_linux)	/* any number at all, on Tarry only */
			nr = (long)(r >> 16 & 1 ? next() : (r >> 20) % 512);
		for (int k = 0; k < 6; k++)
			a[k] = argument();
		if (!tame(nr, a))
			continue;
		syscall6(nr, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4],
			 (long)a[5]);
		++*done;
	}
	exit(0);
}

/* A child that sleeps for ever in what it asked for is killed after a moment. */
static void finish(long pid)
{
	for (int i = 0; i < 20; i++) {
		if (wait4((int)pid, NULL, WNOHANG) == pid)
			return;
		sleep_ms(i < 10 ? 1 : 5);
	}
	kill((int)pid, SIGKILL);
	EXPECT_EQ(wait4((int)pid, NULL, 0), pid);
}

static uint64_t free_pages(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s.free_pages + s.heap_pages;
}

static void test_random(void)
{
	uint64_t before = 0, child = 0;

	/* Far from the arena and no power of two, so that no random write goes there. */
	done = (uint64_t *)mmap((void *)0x123456000, PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	for (; *done < TOTAL && child < MAX_CHILDREN; child++) {
		long pid = fork();

		if (pid == 0)
			run_child(child);
		EXPECT(pid > 0);
		finish(pid);
		if (child == 0) {
			sleep_ms(50);		/* its last pages may come back on another CPU */
			before = free_pages();	/* what was touched for the first time is in */
		}
	}
	for (int i = 0; i < 50 && free_pages() != before; i++)
		sleep_ms(10);
	printf("# %lu calls by %lu children\n", *done, child);
	EXPECT(*done >= TOTAL);
	EXPECT_EQ(free_pages(), before);
}

static const struct ktap_test tests[] = {
	{ "20,000 random calls", test_random },
};

KTAP_MAIN(tests)
