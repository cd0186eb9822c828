/* The system calls that take a path: open, stat and their relatives, access, chdir, getcwd. */
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/initrd.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/process.h"

#define AT_FDCWD (-100)
#define AT_EMPTY_PATH 0x1000
#define W_OK 2
#define X_OK 1

/* The directory that a relative path starts from: the working directory, or an open one. */
static long start_directory(char *directory, int dirfd)
{
	struct file *file;
	const char *name;

	if (dirfd == AT_FDCWD) {
		process_get_cwd(current->process, directory);
		return 0;
	}
	file = file_get(dirfd);
	if (!file)
		return -EBADF;
	name = file_directory(file);
	if (name)
		copy_string(directory, name, PATH_MAX);
	file_put(file);
	return name ? 0 : -ENOTDIR;
}

/* The user's path, made absolute. A slash at its end asks for a directory. */
static long get_path(char *path, int dirfd, u64 user_path)
{
	char raw[PATH_MAX], directory[PATH_MAX] = "";
	struct stat stat;
	long n = string_from_user(raw, user_path, sizeof(raw)), error = 0;

	if (n < 0)
		return n;
	if (n && raw[0] != '/')
		error = start_directory(directory, dirfd);
	if (!error)
		error = path_normalise(path, directory, raw);
	if (!error && n && raw[n - 1] == '/' && !path_stat(path, &stat) && (stat.mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	return error;
}

long sys_openat(int dirfd, u64 user_path, u32 flags)
{
	char path[PATH_MAX];
	struct file *file;
	long error = get_path(path, dirfd, user_path);

	if (error)
		return error;
	file = path_open(path, flags, &error);
	return file ? fd_install(file, 0, flags & O_CLOEXEC) : error;
}

long sys_open(u64 user_path, u32 flags)
{
	return sys_openat(AT_FDCWD, user_path, flags);
}

long sys_newfstatat(int dirfd, u64 user_path, u64 buf, int flags)
{
	struct stat stat = { .nlink = 1, .blksize = PAGE_SIZE };
	char path[PATH_MAX];
	long error = get_path(path, dirfd, user_path);

	if (error == -ENOENT && flags & AT_EMPTY_PATH)
		return sys_fstat(dirfd, buf);
	if (!error)
		error = path_stat(path, &stat);
	return error ? error : copy_to_user(buf, &stat, sizeof(stat));
}

long sys_stat(u64 user_path, u64 buf)
{
	return sys_newfstatat(AT_FDCWD, user_path, buf, 0);
}

/* There are no symbolic links. */
long sys_lstat(u64 user_path, u64 buf)
{
	return sys_stat(user_path, buf);
}

long sys_faccessat(int dirfd, u64 user_path, u32 mode)
{
	struct stat stat;
	char path[PATH_MAX];
	long error = get_path(path, dirfd, user_path);

	if (!error)
		error = path_stat(path, &stat);
	if (error)
		return error;
	if (mode & W_OK && (stat.mode & S_IFMT) != S_IFCHR)
		return -EROFS;
	return mode & X_OK && !(stat.mode & 0111) ? -EACCES : 0;
}

long sys_access(u64 user_path, u32 mode)
{
	return sys_faccessat(AT_FDCWD, user_path, mode);
}

long sys_chdir(u64 user_path)
{
	struct stat stat;
	char path[PATH_MAX];
	long error = get_path(path, AT_FDCWD, user_path);

	if (!error)
		error = path_stat(path, &stat);
	if (error)
		return error;
	if ((stat.mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	process_set_cwd(current->process, path);
	return 0;
}

/* Returns the length with the NUL, as Linux's system call does. */
long sys_getcwd(u64 buf, size_t size)
{
	char cwd[PATH_MAX];
	size_t n;

	process_get_cwd(current->process, cwd);
	if (!cwd[0])
		copy_string(cwd, "/", sizeof(cwd));
	n = strlen(cwd) + 1;
	if (n > size)
		return -ERANGE;
	return copy_to_user(buf, cwd, n) ? -EFAULT : (long)n;
}
