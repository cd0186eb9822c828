/*
 * Descriptors: a process's table of open files, and the system calls that only change the table. A file
 * found in the table is held before the lock is let go, so that another thread may close it meanwhile.
 */
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "sched/task.h"

#define F_DUPFD 0
#define F_GETFD 1
#define F_SETFD 2
#define F_GETFL 3
#define F_SETFL 4
#define F_DUPFD_CLOEXEC 1030
#define FD_CLOEXEC 1

struct file *file_get(int fd)
{
	const struct process *process = current->process;
	struct files *files = process->files;
	struct file *file = NULL;

	if ((u32)fd >= MAX_FILES)
		return NULL;
	if (files->refcount == 1 && process->nthreads == 1) { /* nobody else can close it */
		file = files->file[fd];
		if (file)
			__atomic_fetch_add(&file->refcount, 1, __ATOMIC_RELAXED);
		return file;
	}
	spin_lock(&files->lock);
	file = files->file[fd];
	if (file)
		__atomic_fetch_add(&file->refcount, 1, __ATOMIC_RELAXED);
	spin_unlock(&files->lock);
	return file;
}

static void set_cloexec(struct files *files, int fd, bool on)
{
	u64 bit = BIT(fd % 64);

	if (on)
		files->cloexec[fd / 64] |= bit;
	else
		files->cloexec[fd / 64] &= ~bit;
}

long fd_install(struct file *file, int lowest, bool cloexec)
{
	struct files *files = current->process->files;
	int fd = lowest, limit = (int)current->process->limits.files.soft;

	spin_lock(&files->lock);
	while (fd < limit && files->file[fd])
		fd++;
	if (fd < limit) {
		files->file[fd] = file;
		files->end = MAX(files->end, fd + 1);
		set_cloexec(files, fd, cloexec);
	}
	spin_unlock(&files->lock);
	if (fd < limit)
		return fd;
	file_put(file);
	return -EMFILE;
}

struct files *files_create(void)
{
	struct files *files = kzalloc(sizeof(*files));

	if (files)
		files->refcount = 1;
	return files;
}

struct files *files_fork(struct files *files)
{
	struct files *copy = kmalloc(sizeof(*copy));

	if (!copy)
		return NULL;
	spin_lock(&files->lock);
	memcpy(copy, files, sizeof(*copy));
	for (int fd = 0; fd < copy->end; fd++)
		if (copy->file[fd])
			__atomic_fetch_add(&copy->file[fd]->refcount, 1, __ATOMIC_RELAXED);
	spin_unlock(&files->lock);
	copy->lock.locked = 0;
	copy->refcount = 1;
	return copy;
}

struct files *files_get(struct files *files)
{
	__atomic_fetch_add(&files->refcount, 1, __ATOMIC_RELAXED);
	return files;
}

void files_put(struct files *files)
{
	if (__atomic_sub_fetch(&files->refcount, 1, __ATOMIC_ACQ_REL))
		return;
	for (int fd = 0; fd < files->end; fd++)
		if (files->file[fd])
			file_put(files->file[fd]);
	kfree(files);
}

static long close_fd(struct files *files, int fd)
{
	struct file *file;

	if ((u32)fd >= MAX_FILES)
		return -EBADF;
	spin_lock(&files->lock);
	file = files->file[fd];
	files->file[fd] = NULL;
	set_cloexec(files, fd, false);
	spin_unlock(&files->lock);
	if (!file)
		return -EBADF;
	file_put(file);
	return 0;
}

void files_exec(struct files *files)
{
	for (int fd = 0; fd < files->end; fd++)
		if (files->cloexec[fd / 64] & BIT(fd % 64))
			close_fd(files, fd);
}

long sys_close(int fd)
{
	return close_fd(current->process->files, fd);
}

static long dup_to(int old, int lowest, bool cloexec)
{
	struct file *file = file_get(old);

	return file ? fd_install(file, lowest, cloexec) : -EBADF;
}

long sys_dup(int fd)
{
	return dup_to(fd, 0, false);
}

static long dup_exactly(int old, int new, bool cloexec)
{
	struct files *files = current->process->files;
	struct file *file = file_get(old), *replaced;

	if (!file)
		return -EBADF;
	if ((u32)new >= MAX_FILES) {
		file_put(file);
		return -EBADF;
	}
	spin_lock(&files->lock);
	replaced = files->file[new];
	files->file[new] = file;
	files->end = MAX(files->end, new + 1);
	set_cloexec(files, new, cloexec);
	spin_unlock(&files->lock);
	if (replaced)
		file_put(replaced);
	return new;
}

long sys_dup3(int old, int new, int flags)
{
	if (old == new || flags & ~O_CLOEXEC)
		return -EINVAL;
	return dup_exactly(old, new, flags & O_CLOEXEC);
}

long sys_dup2(int old, int new)
{
	struct file *file;

	if (old != new)
		return dup_exactly(old, new, false);
	file = file_get(old);
	if (!file)
		return -EBADF;
	file_put(file);
	return new;
}

long sys_fcntl(int fd, int command, u64 arg)
{
	struct files *files = current->process->files;
	struct file *file = file_get(fd);
	long result = 0;

	if (!file)
		return -EBADF;
	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		result = arg >= MAX_FILES ? -EINVAL : dup_to(fd, (int)arg, command == F_DUPFD_CLOEXEC);
		break;
	case F_GETFD:
		result = files->cloexec[fd / 64] & BIT(fd % 64) ? FD_CLOEXEC : 0;
		break;
	case F_SETFD:
		spin_lock(&files->lock);
		set_cloexec(files, fd, arg & FD_CLOEXEC);
		spin_unlock(&files->lock);
		break;
	case F_GETFL:
		result = file->flags;
		break;
	case F_SETFL:
		file->flags = (file->flags & O_ACCMODE) | (arg & (O_NONBLOCK | O_APPEND));
		break;
	default:
		result = -EINVAL;
	}
	file_put(file);
	return result;
}
