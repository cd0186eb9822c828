/* Path arithmetic on strings. Pure code, tested on the host. */
#include "kernel/errno.h"
#include "kernel/initrd.h"
#include "kernel/string.h"

/* Appends one component; ".." takes the last one away. */
static long append(char *out, const char *part, size_t n)
{
	size_t len = strlen(out);

	if (!n || (n == 1 && part[0] == '.'))
		return 0;
	if (n == 2 && part[0] == '.' && part[1] == '.') {
		while (len && out[len - 1] != '/')
			len--;
		out[len ? len - 1 : 0] = '\0';
		return 0;
	}
	if (len + 1 + n >= PATH_MAX)
		return -ENAMETOOLONG;
	out[len] = '/';
	memcpy(out + len + 1, part, n);
	out[len + 1 + n] = '\0';
	return 0;
}

static long append_all(char *out, const char *path)
{
	while (*path) {
		size_t n = 0;

		while (path[n] && path[n] != '/')
			n++;
		if (append(out, path, n))
			return -ENAMETOOLONG;
		path += n + (path[n] == '/');
	}
	return 0;
}

/* The root comes out as "". */
long path_normalise(char *out, const char *directory, const char *path)
{
	out[0] = '\0';
	if (!*path)
		return -ENOENT;
	if (*path != '/' && append_all(out, directory))
		return -ENAMETOOLONG;
	return append_all(out, path);
}
