/*
 * files - descriptors, the read-only files and pipes. Catches: offsets kept in the wrong
 * place, descriptors that outlive close or exec, pipes that lose, double or tear bytes,
 * and sleepers at a pipe that nobody wakes.
 */
#include "ktap.h"

static const char *self(void)
{
	return (const char *)getauxval(AT_EXECFN);	/* a file that is sure to be there */
}

static void test_open_errors(void)
{
	char below[300], slash[300];

	snprintf(below, sizeof(below), "%.250s/x", self());
	snprintf(slash, sizeof(slash), "%.250s/", self());
	EXPECT_EQ(open("/nosuch", O_RDONLY), -ENOENT);
	EXPECT_EQ(open("", O_RDONLY), -ENOENT);
	EXPECT_EQ(open("/nosuch/x", O_RDONLY), -ENOENT);
	EXPECT_EQ(open(below, O_RDONLY), -ENOTDIR);
	EXPECT_EQ(open(slash, O_RDONLY), -ENOTDIR);
	EXPECT_EQ(open(self(), O_RDONLY | O_DIRECTORY), -ENOTDIR);
	EXPECT_EQ(open("/", O_WRONLY), -EISDIR);
	EXPECT_EQ(syscall4(SYS_openat, 99, "x", O_RDONLY, 0), -EBADF);
	EXPECT_EQ(syscall4(SYS_openat, 0, "x", O_RDONLY, 0), -ENOTDIR);
	if (on_tarry()) {
		EXPECT_EQ(open("/new", O_WRONLY | O_CREAT), -EROFS);
		EXPECT_EQ(open(self(), O_RDWR), -EROFS);
	}
}

static void test_bad_descriptors(void)
{
	static const int bad[] = { -1, 99, 1 << 20, 0x7fffffff, (int)0x80000000 };
	struct stat st;
	char c;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(read(bad[i], &c, 1), -EBADF);
		EXPECT_EQ(write(bad[i], &c, 1), -EBADF);
		EXPECT_EQ(close(bad[i]), -EBADF);
		EXPECT_EQ(fstat(bad[i], &st), -EBADF);
		EXPECT_EQ(lseek(bad[i], 0, SEEK_SET), -EBADF);
		EXPECT_EQ(getdents64(bad[i], &c, 1), -EBADF);
		EXPECT_EQ(dup(bad[i]), -EBADF);
		EXPECT_EQ(dup2(bad[i], 5), -EBADF);
		EXPECT_EQ(fcntl(bad[i], F_GETFD, 0), -EBADF);
		EXPECT_EQ(ioctl(bad[i], TCGETS, &st), -EBADF);
	}
	EXPECT_EQ(dup2(1, -1), -EBADF);
	EXPECT_EQ(dup2(1, 1 << 30), -EBADF);
}

/* Catches: an offset that is not shared by dup and fork, or shared by two opens. */
static void test_offsets(void)
{
	long a = open(self(), O_RDONLY), b = open(self(), O_RDONLY), c = dup((int)a);
	char buf[64];

	EXPECT_EQ(read((int)a, buf, 4), 4);
	EXPECT(memcmp(buf, "\177ELF", 4) == 0);
	EXPECT_EQ(lseek((int)a, 0, SEEK_CUR), 4);
	EXPECT_EQ(lseek((int)c, 0, SEEK_CUR), 4);
	EXPECT_EQ(lseek((int)b, 0, SEEK_CUR), 0);
	if (fork() == 0) {
		read((int)a, buf, 10);
		exit(0);
	}
	wait4(-1, NULL, 0);
	EXPECT_EQ(lseek((int)a, 0, SEEK_CUR), 14);
	close((int)a);
	EXPECT_EQ(read((int)c, buf, 2), 2);
	close((int)b);
	close((int)c);
}

static void test_lseek(void)
{
	long fd = open(self(), O_RDONLY);
	struct stat st;
	char buf[16];

	EXPECT_EQ(fstat((int)fd, &st), 0);
	EXPECT_EQ(st.st_mode & S_IFMT, S_IFREG);
	EXPECT(st.st_size > 1000);
	EXPECT_EQ(lseek((int)fd, 0, SEEK_END), st.st_size);
	EXPECT_EQ(read((int)fd, buf, 16), 0);
	EXPECT_EQ(lseek((int)fd, -3, SEEK_CUR), st.st_size - 3);
	EXPECT_EQ(read((int)fd, buf, 16), 3);
	EXPECT_EQ(lseek((int)fd, 1000000000, SEEK_SET), 1000000000);
	EXPECT_EQ(read((int)fd, buf, 16), 0);
	EXPECT_EQ(lseek((int)fd, -1, SEEK_SET), -EINVAL);
	EXPECT_EQ(lseek((int)fd, 0, 99), -EINVAL);
	EXPECT_EQ(lseek((int)fd, INT64_MAX, SEEK_END), -EINVAL);
	EXPECT_EQ(write((int)fd, buf, 1), -EBADF);
	close((int)fd);
}

static void test_stat(void)
{
	long fd = open("/", O_RDONLY | O_DIRECTORY);
	struct stat st, st2;
	int fds[2];
	char c;

	EXPECT_EQ(stat_path("/", &st), 0);
	EXPECT_EQ(st.st_mode & S_IFMT, S_IFDIR);
	EXPECT_EQ(syscall4(SYS_newfstatat, fd, "", &st2, AT_EMPTY_PATH), 0);
	EXPECT_EQ(st2.st_ino, st.st_ino);
	EXPECT_EQ(stat_path("", &st), -ENOENT);
	EXPECT_EQ(stat_path("/nosuch", &st), -ENOENT);
	EXPECT_EQ(stat_path("/./..//.", &st), 0);
	EXPECT_EQ(read((int)fd, &c, 1), -EISDIR);
	close((int)fd);
	pipe(fds);
	EXPECT_EQ(fstat(fds[0], &st), 0);
	EXPECT_EQ(st.st_mode & S_IFMT, S_IFIFO);
	EXPECT_EQ(lseek(fds[0], 0, SEEK_CUR), -ESPIPE);
	close(fds[0]);
	close(fds[1]);
}

/* Catches: entries lost or doubled when the buffer is small. */
static void test_getdents(void)
{
	static const size_t sizes[] = { 4096, 300 };
	int counts[2] = { 0, 0 }, dots[2] = { 0, 0 };
	char buf[4096] __attribute__((aligned(8)));

	for (int k = 0; k < 2; k++) {
		long fd = open("/", O_RDONLY | O_DIRECTORY), n;

		while ((n = getdents64((int)fd, buf, sizes[k])) > 0)
			for (long at = 0; at < n; counts[k]++) {
				struct dirent64 *d = (struct dirent64 *)(buf + at);

				EXPECT_EQ(d->d_reclen & 7, 0);
				dots[k] += d->d_name[0] == '.';
				at += d->d_reclen;
			}
		EXPECT_EQ(n, 0);
		EXPECT_EQ(lseek((int)fd, 0, SEEK_SET), 0);
		EXPECT_EQ(getdents64((int)fd, buf, 8), -EINVAL);
		close((int)fd);
	}
	EXPECT(counts[0] >= 4 && dots[0] >= 2);
	EXPECT_EQ(counts[0], counts[1]);
	EXPECT_EQ(getdents64(0, buf, sizeof(buf)), -ENOTDIR);
}

static void test_vectors(void)
{
	char a[3], b[5], c[8];
	struct iovec in[3] = { { a, 3 }, { NULL, 0 }, { b, 5 } };
	struct iovec out[2] = { { "abc", 3 }, { "defgh", 5 } };
	struct iovec negative = { a, 1UL << 63 };
	int fds[2];

	pipe(fds);
	EXPECT_EQ(syscall3(SYS_writev, fds[1], out, 2), 8);
	EXPECT_EQ(syscall3(SYS_readv, fds[0], in, 3), 8);
	EXPECT(memcmp(a, "abc", 3) == 0 && memcmp(b, "defgh", 5) == 0);
	write(fds[1], "12345678", 8);
	EXPECT_EQ(read(fds[0], c, 8), 8);
	EXPECT_EQ(syscall3(SYS_writev, fds[1], out, 0), 0);
	EXPECT_EQ(syscall3(SYS_writev, fds[1], out, -1), -EINVAL);
	EXPECT_EQ(syscall3(SYS_writev, fds[1], out, 1025), -EINVAL);
	EXPECT_EQ(syscall3(SYS_writev, fds[1], &negative, 1), -EINVAL);
	close(fds[0]);
	close(fds[1]);
}

/* Catches: not the lowest number, flags that dup copies, dup2 onto itself that closes. */
static void test_dup(void)
{
	long low = dup(1), fd = open(self(), O_RDONLY | O_CLOEXEC);

	close((int)low);
	EXPECT_EQ(dup(1), low);
	EXPECT_EQ(fcntl((int)fd, F_GETFD, 0), FD_CLOEXEC);
	EXPECT_EQ(dup2((int)fd, (int)fd), fd);
	EXPECT_EQ(fcntl((int)fd, F_GETFD, 0), FD_CLOEXEC);
	EXPECT_EQ(dup2((int)fd, 30), 30);
	EXPECT_EQ(fcntl(30, F_GETFD, 0), 0);
	EXPECT_EQ(fcntl((int)fd, F_DUPFD, 25), 25);
	EXPECT_EQ(fcntl((int)fd, F_DUPFD_CLOEXEC, 25), 26);
	EXPECT_EQ(fcntl(26, F_GETFD, 0), FD_CLOEXEC);
	EXPECT_EQ(fcntl((int)fd, F_GETFL, 0) & O_ACCMODE, O_RDONLY);
	for (int i = 25; i <= 30; i++)
		close(i);
	close((int)fd);
	close((int)low);
}

/* Catches: an end that is not counted: by fork, by dup, by exit. */
static void test_pipe_ends(void)
{
	int fds[2], copy, status;
	char buf[16];

	pipe(fds);
	copy = (int)dup(fds[1]);
	write(fds[1], "abc", 3);
	close(fds[1]);
	EXPECT_EQ(read(fds[0], buf, 16), 3);
	write(copy, "d", 1);
	if (fork() == 0)
		exit(0);
	wait4(-1, NULL, 0);
	close(copy);
	EXPECT_EQ(read(fds[0], buf, 16), 1);
	EXPECT_EQ(read(fds[0], buf, 16), 0);
	EXPECT_EQ(write(fds[0], buf, 1), -EBADF);
	close(fds[0]);
	pipe(fds);
	EXPECT_EQ(read(fds[1], buf, 1), -EBADF);
	if (fork() == 0) {
		close(fds[0]);
		write(fds[1], "x", 1);		/* the parent still reads: fine */
		exit(3);
	}
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 3 << 8);
	if (fork() == 0) {
		dup2(fds[1], 40);
		close(fds[0]);
		exit(4);
	}
	wait4(-1, NULL, 0);
	close(fds[0]);
	close(fds[1]);
}

static int ends[2];

static void write_to_nobody(void)
{
	close(ends[0]);
	exit(write(ends[1], "x", 1) == -EPIPE ? 32 : 1);
}

/* EPIPE comes with SIGPIPE, which kills by default. */
static void test_epipe(void)
{
	int status;

	pipe(ends);
	close(ends[0]);
	ends[0] = -1;
	status = ktap_child(write_to_nobody);
	EXPECT_EQ(status, SIGPIPE);
	close(ends[1]);
}

enum { BIG = 300000 };

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8));
}

/* Catches: bytes lost or out of order when a write is larger than the pipe. */
static void test_big_write(void)
{
	static unsigned char buf[BIG];
	size_t wrong = 0;
	int fds[2], status;

	pipe(fds);
	if (fork() == 0) {
		close(fds[0]);
		for (size_t i = 0; i < BIG; i++)
			buf[i] = pattern(i);
		exit(write(fds[1], buf, BIG) != BIG);
	}
	close(fds[1]);
	for (size_t done = 0; done < BIG;) {
		long n = read(fds[0], buf + done, 1 + done % 5000);

		if (n <= 0) {
			FAIL("read: %ld after %zu bytes", n, done);
			break;
		}
		done += (size_t)n;
	}
	for (size_t i = 0; i < BIG; i++)
		wrong += buf[i] != pattern(i);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(read(fds[0], buf, 1), 0);
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 0);
	close(fds[0]);
}

/* Catches: writes of up to PIPE_BUF bytes torn apart by another writer. */
static void test_atomic(void)
{
	enum { WRITERS = 4, RECORD = 3000, RECORDS = 40 };
	static char buf[RECORD];
	int fds[2], torn = 0, count = 0;

	pipe(fds);
	for (int w = 0; w < WRITERS; w++)
		if (fork() == 0) {
			memset(buf, 'a' + w, RECORD);
			for (int i = 0; i < RECORDS; i++)
				if (write(fds[1], buf, RECORD) != RECORD)
					exit(1);
			exit(0);
		}
	close(fds[1]);
	for (; read_full(fds[0], buf, RECORD) == RECORD; count++)
		for (int i = 1; i < RECORD; i++)
			if (buf[i] != buf[0]) {
				torn++;
				break;
			}
	EXPECT_EQ(torn, 0);
	EXPECT_EQ(count, WRITERS * RECORDS);
	for (int w = 0; w < WRITERS; w++)
		wait4(-1, NULL, 0);
	close(fds[0]);
}

/* Catches: a sleeping reader or writer that close or exit does not wake. */
static void test_wake_by_close(void)
{
	static char buf[BIG];
	int fds[2], status;
	long pid;

	pipe(fds);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		exit(read(fds[0], buf, 1) == 0 ? 11 : 1);
	}
	close(fds[0]);
	sleep_ms(30);
	close(fds[1]);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status, 11 << 8);
	pipe(fds);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		write(fds[1], buf, BIG);
		exit(1);
	}
	close(fds[1]);
	sleep_ms(30);
	close(fds[0]);
	wait4((int)pid, &status, 0);
	EXPECT_EQ(status & 0x7f, SIGPIPE);
}

static void test_nonblock(void)
{
	static char buf[PIPE_BUF];
	int fds[2], writes = 0;

	if (pipe2(fds, O_NONBLOCK) < 0)
		SKIP("no O_NONBLOCK for pipes");
	EXPECT_EQ(read(fds[0], buf, 1), -EAGAIN);
	while (write(fds[1], buf, PIPE_BUF) == PIPE_BUF && writes < 10000)
		writes++;
	EXPECT(writes > 0 && writes < 10000);
	EXPECT_EQ(write(fds[1], buf, PIPE_BUF), -EAGAIN);
	close(fds[1]);
	while (writes-- > 0)
		EXPECT_EQ(read_full(fds[0], buf, PIPE_BUF), PIPE_BUF);
	EXPECT_EQ(read(fds[0], buf, 1), 0);
	close(fds[0]);
}

/* Catches: a table of descriptors that overflows instead of answering EMFILE. */
static void test_many(void)
{
	int first = -1, last = -1;

	for (int i = 0; i < 2000000; i++) {
		long fd = dup(1);

		if (fd < 0) {
			EXPECT_EQ(fd, -EMFILE);
			break;
		}
		if (first < 0)
			first = (int)fd;
		last = (int)fd;
	}
	EXPECT(last - first >= 50);
	EXPECT_EQ(open(self(), O_RDONLY), -EMFILE);
	for (int fd = first; fd <= last; fd++)
		close(fd);
}

static void test_directories(void)
{
	char before[256], now[256];
	long fd;

	EXPECT(getcwd(before, sizeof(before)) > 0);
	EXPECT_EQ(chdir("/nosuch"), -ENOENT);
	EXPECT_EQ(chdir(self()), -ENOTDIR);
	EXPECT_EQ(chdir("/bin"), 0);
	fd = open("./../bin/.", O_RDONLY);
	EXPECT(fd >= 0);
	close((int)fd);
	EXPECT_EQ(getcwd(now, 2), -ERANGE);
	EXPECT(getcwd(now, sizeof(now)) > 1 && strstr(now, "bin"));
	EXPECT_EQ(chdir(before), 0);
}

static const struct ktap_test tests[] = {
	{ "open: errors", test_open_errors }, { "bad descriptors", test_bad_descriptors },
	{ "offsets", test_offsets }, { "lseek", test_lseek }, { "stat", test_stat },
	{ "getdents64", test_getdents }, { "readv and writev", test_vectors },
	{ "dup and fcntl", test_dup }, { "pipe: ends", test_pipe_ends },
	{ "pipe: EPIPE", test_epipe }, { "pipe: big writes", test_big_write },
	{ "pipe: whole records", test_atomic }, { "pipe: closing wakes", test_wake_by_close },
	{ "pipe: O_NONBLOCK", test_nonblock }, { "many descriptors", test_many },
	{ "chdir", test_directories },
};

KTAP_MAIN(tests)
