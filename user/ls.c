/* ls [-l] [PATH...] - lists directories; -l adds kind and size. */
#include <lib.h>

static int details;

static void show(const char *dir, const char *name)
{
	struct stat st;
	char path[512];

	if (!details) {
		puts(name);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (stat_path(*dir ? path : name, &st) < 0)
		printf("?            %s\n", name);
	else
		printf("%c %10ld %s\n", (st.st_mode & S_IFMT) == S_IFDIR ? 'd' : '-',
		       (long)st.st_size, name);
}

static int list(const char *path)
{
	static char buf[2048];
	long fd = open(path, O_RDONLY | O_DIRECTORY), n;

	if (fd == -ENOTDIR) {
		show("", path);
		return 0;
	}
	if (fd < 0) {
		dprintf(2, "ls: %s: %s\n", path, error_text(fd));
		return 1;
	}
	while ((n = getdents64((int)fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			struct dirent64 *d = (struct dirent64 *)(buf + at);

			if (d->d_name[0] != '.')
				show(path, d->d_name);
			at += d->d_reclen;
		}
	close((int)fd);
	return n < 0;
}

int main(int argc, char **argv)
{
	int first = 1, failed = 0;

	if (argc > 1 && strcmp(argv[1], "-l") == 0) {
		details = 1;
		first = 2;
	}
	if (first == argc)
		return list(".");
	for (int i = first; i < argc; i++)
		failed |= list(argv[i]);
	return failed;
}
