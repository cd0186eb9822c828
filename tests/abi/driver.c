/*
 * driver - runs the programs that its arguments name, one after the other, and says where each one's output begins and
 * how it ended. A program is over when its last descendant is, daemons too: all hold the pipe of which we wait for the
 * end. The same file runs on Linux and on Tarry.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(const char *path)
{
	const char *name = strrchr(path, '/');
	int alive[2], status = 0;
	pid_t pid;
	char byte;

	if (pipe(alive))
		return -1;
	pid = fork();
	if (!pid) {
		execl(path, name ? name + 1 : path, (char *)NULL);
		_exit(127);
	}
	close(alive[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	while (read(alive[0], &byte, 1) > 0)
		;
	close(alive[0]);
	if (status < 0)
		return status;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 1; i < argc; i++) {
		printf("\n@begin %s\n", argv[i]);
		printf("\n@end %d\n", status_of(argv[i]));
	}
	return 0;
}
