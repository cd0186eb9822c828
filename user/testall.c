/*
 * testall [NAME...] - runs the programs in /test (or those named), one after the other,
 * and prints one nested KTAP report. A program that ends with a status other than 0, or
 * after which the kernel has fewer free pages than before, is "not ok". The exit status is
 * 0 only if all is well. It must leave no child behind, so that the pages can be counted. A program
 * that takes too many ticks of the timer is named, and killed with its process group.
 */
#include <lib.h>

/* Ticks for one program: many times what the longest takes anywhere, since this is no test of speed. */
enum { MAX_TESTS = 64, NAME_SIZE = 32, MAX_TICKS = 200000, WATCH_MS = 10000 };

static char names[MAX_TESTS][NAME_SIZE];
static int count;

static void add(const char *name)
{
	int at = count;

	if (count == MAX_TESTS || strlen(name) >= NAME_SIZE)
		return;
	for (; at > 0 && strcmp(names[at - 1], name) > 0; at--)	/* in order of the alphabet */
		strcpy(names[at], names[at - 1]);
	strcpy(names[at], name);
	count++;
}

static void find_tests(void)
{
	static char buf[1024];
	long fd = open("/test", O_RDONLY | O_DIRECTORY), n;

	while (fd >= 0 && (n = getdents64((int)fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			struct dirent64 *d = (struct dirent64 *)(buf + at);

			if (d->d_name[0] != '.')
				add(d->d_name);
			at += d->d_reclen;
		}
	if (fd >= 0)
		close((int)fd);
}

static struct tarry_stats counters(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s;
}

/* The heap may keep pages for later: what is in it is counted by objects. */
static uint64_t pages_of(const struct tarry_stats *s)
{
	return s->free_pages + s->heap_pages;
}

/* Orphans come to the first program, which is this one or init. */
static void reap_orphans(void)
{
	while (wait4(-1, NULL, WNOHANG) > 0)
		;
}

static int all_back(const struct tarry_stats *now, const struct tarry_stats *before)
{
	return pages_of(now) >= pages_of(before) && now->heap_objects <= before->heap_objects;
}

static int leaked(const struct tarry_stats *before)
{
	struct tarry_stats now = counters();

	for (int i = 0; i < 100 && !all_back(&now, before); i++) {
		reap_orphans();
		sleep_ms(10);
		now = counters();
	}
	now = counters();
	if (pages_of(&now) < pages_of(before))
		printf("# %lu pages free before, %lu after: %lu lost\n", pages_of(before),
		       pages_of(&now), pages_of(before) - pages_of(&now));
	if (now.heap_objects > before->heap_objects)
		printf("# the kernel holds %lu objects, %lu before\n", now.heap_objects,
		       before->heap_objects);
	return !all_back(&now, before);
}

/*
 * A process that waits beside the program; at the limit it ends the program's whole group. It hardly ever runs, for
 * some programs count loads.
 */
static long start_watch(const char *path, long pid)
{
	uint64_t end = counters().ticks + MAX_TICKS;
	long watch = fork();

	if (watch)
		return watch;
	while (counters().ticks < end)
		sleep_ms(WATCH_MS);
	printf("# %s hangs: killed after %d ticks\n", path, MAX_TICKS);
	kill(-(int)pid, SIGKILL);
	exit(0);
}

static void end_watch(long watch)
{
	if (watch <= 0)
		return;
	kill((int)watch, SIGKILL);
	wait4((int)watch, NULL, 0);
}

static int run_test(char *path)
{
	static struct line_reader reader;
	static char line[512];
	char *argv[] = { path, NULL };
	int fds[2], status;
	long pid, watch;

	if (pipe(fds) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execve(path, argv, environ);
		exit(127);
	}
	close(fds[1]);
	watch = pid > 0 ? start_watch(path, pid) : 0;
	reader = (struct line_reader){ .fd = fds[0] };
	while (read_line(&reader, line, sizeof(line)) > 0)
		printf("  %s\n", line);
	close(fds[0]);
	status = pid > 0 ? wait_status((int)pid) : (int)pid;
	end_watch(watch);
	if (status != 0)
		printf("# %s ended with status %d%s%s\n", path, status,
		       status > 128 ? ", " : "", status > 128 ? signal_text(status - 128) : "");
	return status;
}

/* Catches: an object for each program that nobody frees. The dead give theirs back a moment later, on their CPU. */
static int heap_grows(void)
{
	char *argv[] = { "/bin/true", NULL };
	struct tarry_stats before = { 0 };

	for (int i = 0; i < 80; i++) {
		if (i == 16)
			before = counters();
		run(argv);
	}
	return leaked(&before);
}

static int report(int number, const char *name, int bad)
{
	printf("%s %d %s\n", bad ? "not ok" : "ok", number, name);
	return bad != 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		add(argv[i]);
	if (argc == 1)
		find_tests();
	printf("KTAP version 1\n1..%d\n", count + 1);
	run_test("/bin/true");		/* touches all that is touched only once */
	for (int i = 0; i < count; i++) {
		struct tarry_stats before = counters();
		char path[NAME_SIZE + 8];
		int failed;

		snprintf(path, sizeof(path), "/test/%s", names[i]);
		failed = run_test(path) != 0;
		failed |= leaked(&before);
		bad += report(i + 1, names[i], failed);
	}
	bad += report(count + 1, "kernel heap", heap_grows());
	printf("# %d of %d ok\n", count + 1 - bad, count + 1);
	return bad != 0;
}
