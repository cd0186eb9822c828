/*
 * Open files. A struct file is what a descriptor refers to (shared by dup and fork); struct files is a
 * process's table of descriptors (shared by its threads).
 */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H

#include "kernel/types.h"
#include "sched/wait.h"

#define MAX_FILES 256

#define O_ACCMODE 3
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_DIRECTORY 0200000
#define O_CLOEXEC 02000000

/* As user code passes it to readv and its like, at most so many at a time. */
struct iovec {
	u64 base, length;
};
#define MAX_IOV 1024

struct file;
struct stat;

struct file_ops {
	/*
	 * Bytes moved (fewer than n only at the end of the data or after an error), or -errno. buf is a user address.
	 */
	long (*read)(struct file *file, u64 buf, size_t n);
	long (*write)(struct file *file, u64 buf, size_t n);
	long (*seek)(struct file *file, s64 offset, int whence);
	long (*ioctl)(struct file *file, u64 request, u64 arg);
	void (*stat)(struct file *file, struct stat *stat);
	void (*release)(struct file *file);
};

struct file {
	const struct file_ops *ops;
	u32 refcount;
	u32 flags; /* O_ACCMODE, O_NONBLOCK */
	u64 position;
	const void *object; /* the entry of the boot image, the pipe, the terminal's channel */
};

struct files {
	struct spinlock lock;
	u32 refcount;
	int end; /* above the highest descriptor ever used */
	u64 cloexec[MAX_FILES / 64];
	struct file *file[MAX_FILES];
};

/* Contents of a file of the boot image. */
struct file_data {
	const u8 *bytes;
	u64 size;
};

/* A new open file with one holder, or NULL. */
struct file *file_create(const struct file_ops *ops, u32 flags, const void *object);
/* The current process's file with that number, with one more holder; NULL if there is none. */
struct file *file_get(int fd);
void file_free(struct file *file);

static inline void file_put(struct file *file)
{
	if (!__atomic_sub_fetch(&file->refcount, 1, __ATOMIC_ACQ_REL))
		file_free(file);
}

/* Gives the file a descriptor >= lowest, and takes over the caller's hold on it. -EMFILE if all are in use. */
long fd_install(struct file *file, int lowest, bool cloexec);

struct files *files_create(void);
struct files *files_fork(struct files *files);
struct files *files_get(struct files *files);
void files_put(struct files *files);
/* Closes what is marked close-on-exec. */
void files_exec(struct files *files);

/* A file of the boot image: its contents, or NULL for anything else. */
const struct file_data *file_contents(struct file *file);

/* The path of an open directory, or NULL for anything else. */
const char *file_directory(struct file *file);

/* Opens a path: new file or NULL with *error set. */
struct file *path_open(const char *path, u32 flags, long *error);

/* The contents of a regular file by path, of an executable one: 0, -ENOENT, -EACCES. */
long path_data(const char *path, struct file_data *data);
long path_executable(const char *path, struct file_data *data);

struct stat;
/* 0 or -ENOENT. */
long path_stat(const char *path, struct stat *stat);

/* Terminal: COM1, or for channel TTY_STDERR the port that the command line names. */
enum tty_channel { TTY_CONSOLE, TTY_STDERR };
struct file *tty_open(enum tty_channel channel);

/* Linux's struct stat for x86-64. */
struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	s64 size, blksize, blocks;
	u64 atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	s64 unused[3];
};

#define S_IFMT 0170000
#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define S_IFDIR 0040000
#define S_IFREG 0100000

#endif
