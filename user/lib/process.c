/*
 * process.c - starting programs and waiting for them, time, CPUID. Nothing here prints:
 * callers get a status or an error and say it in their own words.
 */
#include <lib.h>

int exec_path(char *const argv[])
{
	const char *path = getenv("PATH");
	long error = -ENOENT;
	char full[256];

	if (strchr(argv[0], '/'))
		return (int)execve(argv[0], argv, environ);
	while (path && *path) {
		const char *end = strchr(path, ':');
		size_t n = end ? (size_t)(end - path) : strlen(path);

		if (snprintf(full, sizeof(full), "%.*s/%s", (int)n, path, argv[0]) <
		    (int)sizeof(full)) {
			long r = execve(full, argv, environ);

			if (r != -ENOENT && r != -ENOTDIR)
				error = r;
		}
		path += n + (end != NULL);
	}
	return (int)error;
}

int wait_status(int pid)
{
	int status;
	long r = wait4(pid, &status, 0);

	if (r < 0)
		return (int)r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run(char *const argv[])
{
	long pid = fork();

	if (pid == 0)
		exit(exec_path(argv) == -ENOENT ? 127 : 126);
	return pid < 0 ? (int)pid : wait_status((int)pid);
}

void sleep_ms(uint64_t ms)
{
	struct timespec t = { (int64_t)(ms / 1000), (int64_t)(ms % 1000 * 1000000) };

	nanosleep(&t, NULL);
}

uint64_t now_ns(void)
{
	struct timespec t = { 0, 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid c;

	__asm__ volatile("cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx)
			 : "a"(leaf), "c"(subleaf));
	return c;
}
