/*
 * mappings - mremap, resource limits and prctl as Linux has them: results, errors, and what is in
 * the pages afterwards. Nothing here depends on the processor or on where a mapping happens to lie.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L
#define RW (PROT_READ | PROT_WRITE)

static void report(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static char *map(long pages)
{
	return mmap(NULL, (size_t)(pages * PAGE), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* A place for so many pages, with nothing in it. */
static char *room(long pages)
{
	char *p = map(pages);

	munmap(p, (size_t)(pages * PAGE));
	return p;
}

/* True if page n says so. */
static int says(const char *p, int n)
{
	return p[n * PAGE] == 'A' + n && p[n * PAGE + PAGE - 1] == 'a' + n;
}

static void write_pages(char *p, int n)
{
	for (int i = 0; i < n; i++) {
		p[i * PAGE] = (char)('A' + i);
		p[i * PAGE + PAGE - 1] = (char)('a' + i);
	}
}

static int there(const void *p)
{
	int fd[2], result;

	result = pipe(fd) ? -1 : write(fd[1], p, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return result;
}

static void moving(void)
{
	char *p = map(4), *q, *to = room(8);

	write_pages(p, 4);
	q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
	report("shrunk in place", q == p && says(p, 0) && says(p, 1) && !there(p + 2 * PAGE));
	q = mremap(p, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	report("moved and grown", q == to && says(q, 0) && says(q, 1) && !q[2 * PAGE] && !q[6 * PAGE - 1]);
	report("nothing left behind", there(p));
	write_pages(q, 6);
	p = mremap(q + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room(2));
	report("the middle", p[0] == 'C' && p[PAGE] == 'D' && !there(q + 2 * PAGE) && says(q, 1) && says(q, 4));
	q = mremap(p, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
	report("made large", q != MAP_FAILED && q[0] == 'C' && q[PAGE] == 'D' && !q[299 * PAGE]);
	q[299 * PAGE] = 1;
	report("unmapped", munmap(q, 300 * PAGE));
}

static void over_something(void)
{
	char *p = map(2), *to = map(4);

	write_pages(p, 2);
	write_pages(to, 4);
	report("onto others", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == to + PAGE);
	report("between them", says(to, 0) && to[PAGE] == 'A' && to[2 * PAGE] == 'B' && says(to, 3));
	report("no room", (long)mremap(to, PAGE, 2 * PAGE, 0));
	if (!fork()) {
		to[PAGE] = 'x';
		_exit(to[2 * PAGE] == 'B' ? 7 : 8);
	}
	report("a child", wait(NULL) > 0 && to[PAGE] == 'A');
}

static void refused(void)
{
	char *p = map(3);

	report("not at a page", (long)mremap(p + 1, PAGE, PAGE, 0));
	report("to nothing", (long)mremap(p, PAGE, 0, 0));
	report("flags", (long)mremap(p, PAGE, PAGE, 64));
	report("fixed, but may not move", (long)mremap(p, PAGE, PAGE, MREMAP_FIXED, room(1)));
	report("onto itself", (long)mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
	report("to an odd place", (long)mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room(1) + 8));
	report("to the kernel", (long)mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)-65536));
	report("nothing there", (long)mremap(room(1), PAGE, PAGE, MREMAP_MAYMOVE));
	report("more than there is", (long)mremap(p, 4000 * PAGE, 4001 * PAGE, MREMAP_MAYMOVE));
}

static void shared(void)
{
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q;

	write_pages(p, 2);
	if (!fork()) {
		q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room(2));
		q[PAGE] = 's';
		_exit(0);
	}
	wait(NULL);
	report("shared memory moved, and still shared", says(p, 0) && p[PAGE] == 's');
}

static int recurse(int depth)
{
	volatile char room[PAGE];

	room[0] = (char)depth;
	return depth ? recurse(depth - 1) + room[0] : 0;
}

static int status_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) << 8;
}

static void deep(void)
{
	recurse(500);
}

static void deep_in_little(void)
{
	struct rlimit little = { 512 << 10, 512 << 10 };

	setrlimit(RLIMIT_STACK, &little);
	recurse(500);
}

static void limits(void)
{
	struct rlimit limit, wrong = { 2, 1 }, few = { 5, 5 };
	int fd;

	report("getrlimit", getrlimit(RLIMIT_STACK, &limit));
	report("no such limit", syscall(SYS_getrlimit, 16, &limit));
	report("bad address", syscall(SYS_getrlimit, RLIMIT_STACK, 8));
	report("soft above hard", setrlimit(RLIMIT_NOFILE, &wrong));
	report("nobody's", syscall(SYS_prlimit64, 999999, RLIMIT_STACK, NULL, &limit));
	report("two megabytes of stack", status_of(deep));
	report("of half a megabyte", status_of(deep_in_little));
	fd = dup(0);
	report("few files", setrlimit(RLIMIT_NOFILE, &few));
	while (fd >= 0 && fd < 10)
		fd = dup(0);
	report("one too many", fd);
}

static void names(void)
{
	char name[20] = "unchanged";
	int signal = 77;

	report("name", prctl(PR_SET_NAME, "a name that is longer than fits"));
	report("it is", prctl(PR_GET_NAME, name));
	printf("<%s>\n", name);
	report("bad address", prctl(PR_SET_NAME, 8));
	report("death signal", prctl(PR_SET_PDEATHSIG, SIGUSR1));
	report("it is", prctl(PR_GET_PDEATHSIG, &signal));
	report("signal", signal);
	report("signal 65", prctl(PR_SET_PDEATHSIG, 65));
	report("no such option", prctl(12345, 1));
}

/* The child of a child gets its signal when that ends. */
static void death_signal(void)
{
	sigset_t set;
	siginfo_t info;
	int fd[2];
	char byte = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	if (pipe(fd))
		return;
	if (!fork()) {
		if (!fork()) {
			sigprocmask(SIG_BLOCK, &set, NULL);
			prctl(PR_SET_PDEATHSIG, SIGUSR2);
			(void)!write(fd[1], "r", 1);
			sigwaitinfo(&set, &info);
			(void)!write(fd[1], info.si_signo == SIGUSR2 ? "y" : "n", 1);
			_exit(0);
		}
		(void)!read(fd[0], &byte, 1);
		_exit(0);
	}
	wait(NULL);
	report("the parent's end is told", read(fd[0], &byte, 1) == 1 && byte == 'y');
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	moving();
	over_something();
	refused();
	shared();
	names();
	death_signal();
	limits();
	return 0;
}
