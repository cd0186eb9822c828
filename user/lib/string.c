/*
 * string.c - memory and string functions, number parsing, names of errors and signals.
 * Copies go by the string instructions: short to read and quick enough. The compiler may
 * call memcpy, memmove, memset and memcmp on its own, so these must stay real functions.
 */
#include <lib.h>

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	if (d <= s || d >= s + n)
		return memcpy(to, from, n);
	while (n-- > 0)
		((volatile char *)d)[n] = s[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n > 0; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n > 0; n--, p++)
		if (*p == (unsigned char)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	const volatile char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++)
		if (*a != *b || *a == '\0')
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, (size_t)-1);
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (*s == '\0')
			return NULL;
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	do {
		if (*s == (char)c)
			found = s;
	} while (*s++);
	return (char *)found;
}

char *strstr(const char *s, const char *part)
{
	size_t n = strlen(part);

	for (; strncmp(s, part, n) != 0; s++)
		if (*s == '\0')
			return NULL;
	return (char *)s;
}

char *strcpy(char *to, const char *from)
{
	return memcpy(to, from, strlen(from) + 1);
}

int parse_number(const char *s, uint64_t *value)
{
	uint64_t v = 0;

	if (*s == '\0')
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return -EINVAL;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*value = v;
	return 0;
}

int atoi(const char *s)
{
	int negative = *s == '-';
	unsigned int v = 0;

	for (s += negative; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (unsigned int)(*s - '0');
	return negative ? -(int)v : (int)v;
}

const char *error_text(long error)
{
	static const struct { int number; const char *text; } table[] = {
		{ EPERM, "Operation not permitted" }, { ENOENT, "No such file or directory" },
		{ ESRCH, "No such process" }, { EINTR, "Interrupted" }, { EIO, "I/O error" },
		{ E2BIG, "Argument list too long" }, { ENOEXEC, "Exec format error" },
		{ EBADF, "Bad file descriptor" }, { ECHILD, "No child processes" },
		{ EAGAIN, "Try again" }, { ENOMEM, "Out of memory" },
		{ EACCES, "Permission denied" }, { EFAULT, "Bad address" },
		{ EEXIST, "File exists" }, { ENOTDIR, "Not a directory" },
		{ EISDIR, "Is a directory" }, { EINVAL, "Invalid argument" },
		{ ENFILE, "Too many open files in system" }, { EMFILE, "Too many open files" },
		{ ENOTTY, "Not a terminal" }, { ENOSPC, "No space left" },
		{ ESPIPE, "Illegal seek" }, { EROFS, "Read-only file system" },
		{ EPIPE, "Broken pipe" }, { EDEADLK, "Would wait for itself" },
		{ ENAMETOOLONG, "Name too long" }, { ENOSYS, "Not implemented" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].number == error || table[i].number == -error)
			return table[i].text;
	return "Unknown error";
}

const char *signal_text(int signal)
{
	static const char *const names[] = {
		[SIGHUP] = "Hangup", [SIGINT] = "Interrupt", [SIGQUIT] = "Quit",
		[SIGILL] = "Illegal instruction", [SIGTRAP] = "Trace/breakpoint trap",
		[SIGABRT] = "Aborted", [SIGBUS] = "Bus error",
		[SIGFPE] = "Floating point exception", [SIGKILL] = "Killed",
		[SIGUSR1] = "User signal 1", [SIGSEGV] = "Segmentation fault",
		[SIGUSR2] = "User signal 2", [SIGPIPE] = "Broken pipe",
		[SIGALRM] = "Alarm clock", [SIGTERM] = "Terminated",
	};

	if (signal > 0 && (size_t)signal < ARRAY_SIZE(names) && names[signal])
		return names[signal];
	return "Killed by a signal";
}
