/*
 * path.c - the kernel's path arithmetic: fixed cases, then random paths against a model that works
 * on a stack of components. Results go into buffers of exactly PATH_MAX bytes on the heap.
 */
#include "host.h"

#include "kernel/path.c"

static char *out;

static int make_buffer(void **state)
{
	out = malloc(PATH_MAX);
	return !out;
}

static int free_buffer(void **state)
{
	free(out);
	return 0;
}

/* Fails if a dot, a slash or the root is treated wrongly. */
static void fixed_cases(void **state)
{
	static const struct {
		const char *directory, *path, *result;
	} cases[] = {
		{ "", "/", "" },
		{ "", "/bin/sh", "/bin/sh" },
		{ "", "bin", "/bin" },
		{ "/bin", "sh", "/bin/sh" },
		{ "/bin", "/etc/argv", "/etc/argv" },
		{ "/bin", ".", "/bin" },
		{ "/bin", "..", "" },
		{ "/bin", "../..", "" },
		{ "/a/b", "../c", "/a/c" },
		{ "/a/b", "../../../../c", "/c" },
		{ "", "//a///b//", "/a/b" },
		{ "", "/a/./b/.", "/a/b" },
		{ "", "/a/b/../../c/./d/..", "/c" },
		{ "", "/...", "/..." },
		{ "", "/..a", "/..a" },
		{ "", "/.a/..b", "/.a/..b" },
		{ "/x", "./", "/x" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(path_normalise(out, cases[i].directory, cases[i].path), 0);
		assert_string_equal(out, cases[i].result);
	}
}

/* Fails if the empty path names the working directory. */
static void empty_path(void **state)
{
	assert_int_equal(path_normalise(out, "/bin", ""), -ENOENT);
}

/* Fails if the longest path that fits is refused, or one byte more is written. */
static void lengths(void **state)
{
	char path[2 * PATH_MAX + 1];

	for (u32 n = 1; n < sizeof(path); n++) {
		long result;

		path[0] = '/';
		memset(path + 1, 'x', n - 1);
		path[n] = '\0';
		result = path_normalise(out, "", path);
		assert_int_equal(result, n < PATH_MAX ? 0 : -ENAMETOOLONG);
		if (!result && n > 1)
			assert_string_equal(out, path);
		/* the same length in two parts: a directory and a name relative to it */
		if (n > 10 && n < PATH_MAX + 10) {
			char directory[] = "/12345678";

			assert_int_equal(path_normalise(out, directory, path + 10),
					 n < PATH_MAX ? 0 : -ENAMETOOLONG);
		}
	}
}

/* What path_normalise must give: components pushed on a stack and joined. */
static bool model(char *text, const char *directory, const char *path)
{
	char copy[4 * PATH_MAX], *part, *save, *stack[PATH_MAX * 2];
	u32 depth = 0;
	size_t length = 0;

	snprintf(copy, sizeof(copy), "%s/%s", *path == '/' ? "" : directory, path);
	for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "..")) {
			length -= depth ? strlen(stack[--depth]) + 1 : 0;
		} else if (strcmp(part, ".")) {
			stack[depth++] = part;
			length += strlen(part) + 1;
			if (length >= PATH_MAX)
				return false;
		}
	}
	*text = '\0';
	for (u32 i = 0; i < depth; i++)
		strcat(strcat(text, "/"), stack[i]);
	return true;
}

/* Fails on any combination of parts that the fixed cases forgot, or on a byte out of bounds. */
static void random_paths(void **state)
{
	static const char *const parts[] = { "/",  "/",	  "/",
					     ".",  "..",  "a",
					     "bb", "...", "a-long-name-of-30-characters..." };
	struct rng rng = { 424242 };

	for (u32 round = 0; round < 50000; round++) {
		char directory[PATH_MAX] = "", path[400] = "", expected[PATH_MAX];
		u32 nparts = (u32)rng_below(&rng, 24) + 1, depth = (u32)rng_below(&rng, 8);
		long result;

		for (u32 i = 0; i < depth; i++)
			strcat(directory,
			       rng_below(&rng, 2) ? "/d" : "/a-directory-with-long-name");
		for (u32 i = 0; i < nparts && strlen(path) < 350; i++)
			strcat(path, parts[rng_below(&rng, ARRAY_SIZE(parts))]);
		result = path_normalise(out, directory, path);
		if (model(expected, directory, path)) {
			assert_int_equal(result, 0);
			assert_string_equal(out, expected);
		} else {
			assert_int_equal(result, -ENAMETOOLONG);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fixed_cases, make_buffer, free_buffer),
		cmocka_unit_test_setup_teardown(empty_path, make_buffer, free_buffer),
		cmocka_unit_test_setup_teardown(lengths, make_buffer, free_buffer),
		cmocka_unit_test_setup_teardown(random_paths, make_buffer, free_buffer),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
