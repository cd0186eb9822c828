/*
 * processes.c - fork, wait, pipes, exec: parents and children that talk to each other. argv[0] must
 * be a path that can be executed again; with arguments the program is one of its own children.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM 200000

static char *self;

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t fork_clean(void)
{
	fflush(NULL);
	return fork();
}

static void memory_is_private(void)
{
	static int value = 1;
	int *heap = malloc(sizeof(*heap));
	pid_t pid;

	*heap = 1;
	pid = fork_clean();
	if (!pid) {
		value += 10;
		*heap += 20;
		exit(value + *heap);
	}
	printf("private: child %d, here %d %d\n", status_of(pid), value, *heap);
	free(heap);
}

static void many_children(void)
{
	pid_t pids[20];
	int sum = 0, count = 0, status;

	fflush(NULL);
	for (int i = 0; i < 20; i++)
		if (!(pids[i] = fork()))
			_exit(i);
	printf("one of them: %d\n", status_of(pids[13]));
	while (wait(&status) > 0) {
		sum += WEXITSTATUS(status);
		count++;
	}
	printf("children: %d, sum %d, then %s\n", count, sum, strerror(errno));
}

static void no_hang(void)
{
	int ends[2], status;
	char byte;
	pid_t pid;

	pipe(ends);
	pid = fork_clean();
	if (!pid) {
		close(ends[1]);
		read(ends[0], &byte, 1);
		_exit(5);
	}
	printf("WNOHANG: %d\n", waitpid(pid, &status, WNOHANG));
	close(ends[0]);
	close(ends[1]);
	printf("then: %d\n", status_of(pid));
}

/* More than a pipe holds, in odd pieces, while the reader is slower. */
static void stream(void)
{
	static unsigned char buf[STREAM];
	int ends[2];
	unsigned int sum = 0;
	long total = 0, n;
	pid_t pid;

	pipe(ends);
	pid = fork_clean();
	if (!pid) {
		close(ends[0]);
		for (int i = 0; i < STREAM; i++)
			buf[i] = (unsigned char)(i * 7 + i / 256);
		for (long at = 0; at < STREAM; at += n)
			n = write(ends[1], buf + at, STREAM - at < 33333 ? STREAM - at : 33333);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], buf, 1021)) > 0) {
		total += n;
		for (long i = 0; i < n; i++)
			sum = sum * 33 + buf[i];
	}
	close(ends[0]);
	printf("stream: %ld bytes, sum %u, status %d\n", total, sum, status_of(pid));
}

static void broken_pipe(void)
{
	int ends[2];
	pid_t pid;

	pipe(ends);
	close(ends[0]);
	pid = fork_clean();
	if (!pid) {
		write(ends[1], "x", 1);
		_exit(1);
	}
	close(ends[1]);
	printf("broken pipe: %d\n", status_of(pid));
}

/* What a shell does for  self child one "two words" '' | cat  */
static void output_of_child(void)
{
	char *arguments[] = { self, "child", "one", "two words", "", NULL };
	char *environment[] = { "GREETING=hello", "EMPTY=", NULL };
	char line[200];
	int ends[2];
	pid_t pid;
	FILE *from;

	pipe(ends);
	pid = fork_clean();
	if (!pid) {
		dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		execve(self, arguments, environment);
		_exit(126);
	}
	close(ends[1]);
	from = fdopen(ends[0], "r");
	while (fgets(line, sizeof(line), from))
		printf("child says: %s", line);
	fclose(from);
	printf("status %d\n", status_of(pid));
}

static int as_child(int argc, char **argv)
{
	printf("%d arguments:", argc);
	for (int i = 2; i < argc; i++)
		printf(" <%s>", argv[i]);
	printf("\n%s, <%s>, %s\n", getenv("GREETING"), getenv("EMPTY"),
	       getenv("PATH") ? "PATH" : "no PATH");
	return 42;
}

/* A chain of programs, each of which executes the next one in its own place. */
static int chain(char **argv)
{
	char next[12], *arguments[] = { self, "chain", next, NULL };
	int left = atoi(argv[2]);

	if (!left)
		return 77;
	sprintf(next, "%d", left - 1);
	execv(self, arguments);
	return 1;
}

static void exec_many(void)
{
	pid_t pid = fork_clean();

	if (!pid) {
		execv(self, (char *[]){ self, "chain", "10", NULL });
		_exit(1);
	}
	printf("chain: %d\n", status_of(pid));
}

static void exec_errors(void)
{
	char *arguments[] = { "x", NULL };

	execv("/no/such/file", arguments);
	printf("no file: %s\n", strerror(errno));
	execv("/", arguments);
	printf("a directory: %s\n", strerror(errno));
	execv("", arguments);
	printf("no name: %s\n", strerror(errno));
}

static void close_on_exec(void)
{
	int fd = dup(1), kept = fcntl(fd, F_DUPFD, 50), closed = fcntl(fd, F_DUPFD_CLOEXEC, 60);
	char numbers[2][12], *arguments[] = { self, "fds", numbers[0], numbers[1], NULL };
	pid_t pid;

	sprintf(numbers[0], "%d", kept);
	sprintf(numbers[1], "%d", closed);
	pid = fork_clean();
	if (!pid) {
		execv(self, arguments);
		_exit(99);
	}
	printf("descriptors %d %d, child sees %d\n", kept, closed, status_of(pid));
	close(fd);
	close(kept);
	close(closed);
}

static void try_group(const char *what, pid_t pid, pid_t group)
{
	int result = setpgid(pid, group);

	printf("%s: %d %s\n", what, result, result ? strerror(errno) : "");
}

/* What setpgid refuses: groups that nobody is in, other people's children, and those that run another program. */
static void groups(void)
{
	char byte;
	int ends[2];
	pid_t pid;

	if (pipe(ends) || fcntl(ends[1], F_SETFD, FD_CLOEXEC))
		return;
	pid = fork_clean();
	if (!pid) {
		close(ends[0]);
		try_group("my parent", getppid(), 0);
		fflush(NULL);
		raise(SIGSTOP);
		execl(self, self, "chain", "0", (char *)NULL);
		_exit(99);
	}
	close(ends[1]);
	waitpid(pid, NULL, WUNTRACED);
	try_group("negative", pid, -1);
	try_group("nobody's", pid, 0x7ffffff0);
	try_group("mine", pid, getpgid(0));
	try_group("its own", pid, 0);
	printf("in it: %d\n", getpgid(pid) == pid);
	try_group("nobody there", 0x7ffffff0, 0);
	kill(pid, SIGCONT);
	while (read(ends[0], &byte, 1) > 0)
		;
	close(ends[0]);
	try_group("another program", pid, getpgid(0));
	printf("end: %d\n", status_of(pid));
}

static void family(void)
{
	pid_t parent = getpid(), pid = fork_clean();
	int result;

	if (!pid)
		_exit(getppid() == parent && getpid() != parent ? 3 : 4);
	printf("family: %d\n", status_of(pid));
	pid = fork_clean();
	if (!pid)
		for (;;)
			pause();
	kill(pid, SIGKILL);
	printf("killed: %d\n", status_of(pid));
	result = kill(pid, SIGTERM);
	printf("nobody: %d %s\n", result, strerror(errno));
	result = waitpid(pid, NULL, 0);
	printf("no child: %d %s\n", result, strerror(errno));
}

static void first_handler(void)
{
	puts("first registered, last run");
}

static void last_handler(void)
{
	puts("last registered, first run");
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "child"))
		return as_child(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "chain"))
		return chain(argv);
	if (argc > 1 && !strcmp(argv[1], "fds"))
		return 10 * (fcntl(atoi(argv[2]), F_GETFD) >= 0) +
		       (fcntl(atoi(argv[3]), F_GETFD) >= 0);
	atexit(first_handler);
	atexit(last_handler);
	memory_is_private();
	many_children();
	no_hang();
	stream();
	broken_pipe();
	output_of_child();
	exec_many();
	exec_errors();
	close_on_exec();
	family();
	groups();
	return 6;
}
