/*
 * files.c - reads the files in the directory that its argument names with everything stdio has: the
 * folder holds text, data (4096 bytes and some), empty, and sub/inner. Paths are not printed: they
 * differ.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *folder;

static char *path(const char *name)
{
	static char buf[512];

	snprintf(buf, sizeof(buf), "%s/%s", folder, name);
	return buf;
}

static unsigned int checksum(const unsigned char *data, size_t n)
{
	unsigned int sum = 5381;

	while (n--)
		sum = sum * 33 + *data++;
	return sum;
}

static void lines(void)
{
	FILE *file = fopen(path("text"), "r");
	char *line = NULL, word[64];
	size_t room = 0;
	long n;
	int number;

	while ((n = getline(&line, &room, file)) >= 0)
		printf("%ld: %s\n", n, line);
	printf("end %d, error %d\n", feof(file) != 0, ferror(file) != 0);
	rewind(file);
	n = fscanf(file, "%63s %d", word, &number);
	printf("scanned %ld: %s %d, at %ld\n", n, word, number, ftell(file));
	ungetc('#', file);
	number = fgetc(file);
	printf("%c%c\n", number, fgetc(file));
	free(line);
	fclose(file);
}

static void seeking(void)
{
	static const struct {
		long offset;
		int whence;
	} moves[] = { { 0, SEEK_SET },	 { 4095, SEEK_SET },	{ -5000, SEEK_CUR },
		      { 3, SEEK_CUR },	 { -1, SEEK_END },	{ 0, SEEK_END },
		      { 100, SEEK_END }, { -100000, SEEK_SET }, { 1, 77 } };
	FILE *file = fopen(path("data"), "rb");
	unsigned char buf[64];

	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		int result = fseek(file, moves[i].offset, moves[i].whence);
		long at = ftell(file);
		size_t n = fread(buf, 1, sizeof(buf), file);

		printf("seek %d, at %ld, read %zu, sum %u\n", result, at, n, checksum(buf, n));
	}
	fclose(file);
}

static void whole(const char *name)
{
	static unsigned char buf[65536];
	FILE *file = fopen(path(name), "rb");
	struct stat st;
	size_t n;

	setvbuf(file, NULL, _IOFBF, 1000);
	n = fread(buf, 1, sizeof(buf), file);
	fstat(fileno(file), &st);
	printf("%s: %zu bytes, sum %u, size %ld, regular %d, end %d\n", name, n, checksum(buf, n),
	       (long)st.st_size, S_ISREG(st.st_mode), feof(file) != 0);
	fclose(file);
}

/* What a call that must fail gave. */
static void complain(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, strerror(errno));
}

static void raw_calls(void)
{
	char a[10] = "", b[10] = "", c[10] = "";
	struct iovec parts[2] = { { a, 5 }, { b, 7 } };
	int fd = open(path("data"), O_RDONLY), copy;

	printf("readv %zd\n", readv(fd, parts, 2));
	printf("pread %zd\n", pread(fd, c, 10, 4090));
	printf("sums %u %u %u, at %ld\n", checksum((void *)a, 5), checksum((void *)b, 7),
	       checksum((void *)c, 10), (long)lseek(fd, 0, SEEK_CUR));
	copy = dup(fd);
	lseek(copy, 100, SEEK_SET);
	printf("position through dup %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	complain("write", write(fd, "x", 1));
	close(fd);
	printf("read %zd\n", read(copy, c, 1));
	complain("closed", read(fd, c, 1));
	close(copy);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *name)
{
	DIR *dir = opendir(path(name));
	struct dirent *entry;
	char *names[20];
	int n = 0;

	while ((entry = readdir(dir)))
		names[n++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	for (int i = 0; i < n; i++) {
		char full[300];
		struct stat st;

		snprintf(full, sizeof(full), "%s/%s", name, names[i]);
		if (stat(path(full), &st))
			puts("no stat");
		printf("%s %s\n", names[i], S_ISDIR(st.st_mode) ? "directory" : "file");
		free(names[i]);
	}
}

static void relative(void)
{
	char buf[100] = "";
	int fd;

	printf("chdir %d\n", chdir(path("sub")));
	printf("%d %d\n", access("inner", R_OK), access("../text", F_OK));
	fd = openat(AT_FDCWD, "../sub//./../sub/inner", O_RDONLY);
	read(fd, buf, sizeof(buf));
	printf("inner: %s", buf);
	close(fd);
	getcwd(buf, sizeof(buf));
	printf("in %s\n", strrchr(buf, '/'));
}

static void attempt(const char *name, int flags)
{
	int fd = open(path(name), flags);

	printf("open %s: %s\n", name, fd < 0 ? strerror(errno) : "fine");
	if (fd >= 0)
		close(fd);
}

static void errors(void)
{
	char byte;
	int fd = open(folder, O_RDONLY);

	attempt("missing", O_RDONLY);
	attempt("text/below", O_RDONLY);
	attempt("missing/below", O_RDONLY);
	attempt("text", O_RDONLY | O_DIRECTORY);
	attempt("sub", O_WRONLY);
	attempt("sub", O_RDONLY);
	complain("fopen", fopen(path("missing"), "r") != NULL);
	complain("opendir", opendir(path("text")) != NULL);
	complain("read of a directory", read(fd, &byte, 1));
	close(fd);
}

int main(int argc, char **argv)
{
	folder = argv[argc - 1];
	lines();
	seeking();
	whole("text");
	whole("data");
	whole("empty");
	raw_calls();
	list("");
	list("sub");
	errors();
	relative();
	return 0;
}
