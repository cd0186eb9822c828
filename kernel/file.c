/*
 * Open files: their life and the transfers. What kind of file it is, is in initrd.c, pipe.c and tty.c; the
 * table of descriptors is in fd.c.
 */
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/memory.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"

#define MAX_TRANSFER 0x7ffff000

struct file *file_create(const struct file_ops *ops, u32 flags, const void *object)
{
	struct file *file = kzalloc(sizeof(*file));

	if (!file)
		return NULL;
	file->ops = ops;
	file->refcount = 1;
	file->flags = flags & (O_ACCMODE | O_NONBLOCK | O_APPEND);
	file->object = object;
	return file;
}

void file_free(struct file *file)
{
	if (file->ops->release)
		file->ops->release(file);
	kfree(file);
}

/* Transfer of one buffer; the file has a holder already. */
static inline long transfer(struct file *file, u64 buf, size_t n, bool write)
{
	if ((file->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (!user_range(buf, n))
		return -EFAULT;
	n = MIN(n, MAX_TRANSFER);
	return write ? file->ops->write(file, buf, n) : file->ops->read(file, buf, n);
}

static inline long transfer_fd(int fd, u64 buf, size_t n, bool write)
{
	struct file *file = file_get(fd);
	long result;

	if (!file)
		return -EBADF;
	result = transfer(file, buf, n, write);
	file_put(file);
	return result;
}

long sys_read(int fd, u64 buf, size_t n)
{
	return transfer_fd(fd, buf, n, false);
}

long sys_write(int fd, u64 buf, size_t n)
{
	return transfer_fd(fd, buf, n, true);
}

/* One buffer after the other; stops at the first that moves less than it holds. */
static long transfer_vector(struct file *file, u64 vector, u64 count, bool write)
{
	struct iovec iov;
	long total = 0;

	for (u64 i = 0; i < count; i++) {
		long n;

		if (copy_from_user(&iov, vector + i * sizeof(iov), sizeof(iov)))
			return total ? total : -EFAULT;
		if ((s64)iov.length < 0)
			return total ? total : -EINVAL;
		if (!iov.length)
			continue;
		n = transfer(file, iov.base, iov.length, write);
		if (n < 0)
			return total ? total : n;
		total += n;
		if ((u64)n < iov.length)
			break;
	}
	return total;
}

static long transfer_vector_fd(int fd, u64 vector, u64 count, bool write)
{
	struct file *file = file_get(fd);
	long result;

	if (!file)
		return -EBADF;
	result = count > MAX_IOV ? -EINVAL : transfer_vector(file, vector, count, write);
	file_put(file);
	return result;
}

long sys_readv(int fd, u64 vector, u64 count)
{
	return transfer_vector_fd(fd, vector, count, false);
}

long sys_writev(int fd, u64 vector, u64 count)
{
	return transfer_vector_fd(fd, vector, count, true);
}

/* Reads at an offset and leaves the position alone; only files that can seek. */
long sys_pread64(int fd, u64 buf, size_t n, s64 offset)
{
	struct file *file = file_get(fd);
	struct file at;
	long result;

	if (!file)
		return -EBADF;
	at = *file;
	at.position = (u64)offset;
	if (offset < 0)
		result = -EINVAL;
	else
		result = file_contents(file) ? transfer(&at, buf, n, false) : -ESPIPE;
	file_put(file);
	return result;
}

long sys_lseek(int fd, s64 offset, int whence)
{
	struct file *file = file_get(fd);
	long result;

	if (!file)
		return -EBADF;
	result = file->ops->seek ? file->ops->seek(file, offset, whence) : -ESPIPE;
	file_put(file);
	return result;
}

long sys_ioctl(int fd, u64 request, u64 arg)
{
	struct file *file = file_get(fd);
	long result;

	if (!file)
		return -EBADF;
	result = file->ops->ioctl ? file->ops->ioctl(file, (u32)request, arg) : -ENOTTY;
	file_put(file);
	return result;
}

long sys_fstat(int fd, u64 buf)
{
	struct file *file = file_get(fd);
	struct stat stat = { .nlink = 1, .blksize = PAGE_SIZE };

	if (!file)
		return -EBADF;
	file->ops->stat(file, &stat);
	file_put(file);
	return copy_to_user(buf, &stat, sizeof(stat));
}
