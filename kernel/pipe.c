/*
 * Pipes: a ring of bytes between readers and writers. Writes of up to PIPE_BUF bytes go in
 * whole. The bytes move between the ring and user memory under the pipe's mutex, which may sleep in a page
 * fault.
 */
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/memory.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/signal.h"

#define PIPE_BUF 4096
#define PIPE_SIZE (PAGE_SIZE * 4)

struct pipe {
	struct mutex lock;
	struct wait_queue can_read, can_write;
	u32 readers, writers; /* open files at each end */
	u32 holders;	      /* both together; the last one frees */
	u64 head, tail;	      /* bytes written and read so far */
	char *ring;
};

static u64 filled(const struct pipe *pipe)
{
	return pipe->head - pipe->tail;
}

static u64 room(const struct pipe *pipe)
{
	return PIPE_SIZE - filled(pipe);
}

static inline size_t copy(char *ring, u64 user, size_t n, bool in)
{
	return n - (in ? copy_from_user_partial(ring, user, n) : copy_to_user_partial(user, ring, n));
}

/* Moves n bytes at ring position at, which may wrap around once; returns how many it could. */
static inline size_t move(struct pipe *pipe, u64 at, u64 user, size_t n, bool in)
{
	size_t start = at % PIPE_SIZE, first = MIN(n, PIPE_SIZE - start);
	size_t done = copy(pipe->ring + start, user, first, in);

	if (likely(first == n) || done < first)
		return done;
	return done + copy(pipe->ring, user + first, n - first, in);
}

static long pipe_read(struct file *file, u64 buf, size_t n)
{
	struct pipe *pipe = (struct pipe *)file->object;
	size_t done;

	if (!n)
		return 0;
	mutex_lock(&pipe->lock);
	while (!filled(pipe)) {
		bool end = !pipe->writers;

		mutex_unlock(&pipe->lock);
		if (end)
			return 0;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event(&pipe->can_read, filled(pipe) || !pipe->writers))
			return -ERESTARTSYS;
		mutex_lock(&pipe->lock);
	}
	n = MIN(n, filled(pipe));
	done = move(pipe, pipe->tail, buf, n, false);
	if (likely(done == n)) /* a bad address takes nothing out, not even what could be copied */
		pipe->tail += n;
	mutex_unlock(&pipe->lock);
	wake_all(&pipe->can_write);
	return done == n ? (long)n : -EFAULT;
}

/* One piece of a write: as much as fits, or all if it is no more than PIPE_BUF. */
static long write_some(struct pipe *pipe, u64 buf, size_t n, u32 flags)
{
	u64 need = n <= PIPE_BUF ? n : 1;
	size_t done;

	mutex_lock(&pipe->lock);
	while (pipe->readers && room(pipe) < need) {
		mutex_unlock(&pipe->lock);
		if (flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event(&pipe->can_write, room(pipe) >= need || !pipe->readers))
			return -ERESTARTSYS;
		mutex_lock(&pipe->lock);
	}
	if (!pipe->readers) {
		mutex_unlock(&pipe->lock);
		signal_self(SIGPIPE);
		return -EPIPE;
	}
	n = MIN(n, room(pipe));
	done = move(pipe, pipe->head, buf, n, true);
	if (likely(done == n))
		pipe->head += n;
	mutex_unlock(&pipe->lock);
	wake_all(&pipe->can_read);
	return done == n ? (long)n : -EFAULT;
}

static long pipe_write(struct file *file, u64 buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		long some = write_some((struct pipe *)file->object, buf + done, n - done, file->flags);

		if (some < 0)
			return done ? (long)done : some;
		done += (size_t)some;
	}
	return (long)done;
}

static void pipe_stat(struct file *file, struct stat *stat)
{
	(void)file;
	stat->mode = S_IFIFO | 0600;
}

static void pipe_put(struct pipe *pipe)
{
	if (__atomic_sub_fetch(&pipe->holders, 1, __ATOMIC_ACQ_REL))
		return;
	kfree(pipe->ring);
	kfree(pipe);
}

static void pipe_release(struct file *file)
{
	struct pipe *pipe = (struct pipe *)file->object;

	mutex_lock(&pipe->lock);
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		pipe->readers--;
	else
		pipe->writers--;
	mutex_unlock(&pipe->lock);
	wake_all(&pipe->can_read);
	wake_all(&pipe->can_write);
	pipe_put(pipe);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read, .write = pipe_write, .stat = pipe_stat, .release = pipe_release,
};

static struct pipe *pipe_create(void)
{
	struct pipe *pipe = kzalloc(sizeof(*pipe));

	if (!pipe)
		return NULL;
	pipe->ring = kmalloc(PIPE_SIZE);
	if (!pipe->ring) {
		kfree(pipe);
		return NULL;
	}
	mutex_init(&pipe->lock);
	wait_queue_init(&pipe->can_read);
	wait_queue_init(&pipe->can_write);
	return pipe;
}

/* Both ends as files, or no pipe at all. */
static long pipe_files(struct file *ends[2], u32 flags)
{
	struct pipe *pipe = pipe_create();

	if (!pipe)
		return -ENOMEM;
	pipe->readers = pipe->writers = 1;
	pipe->holders = 2;
	ends[0] = file_create(&pipe_ops, O_RDONLY | (flags & O_NONBLOCK), pipe);
	ends[1] = file_create(&pipe_ops, O_WRONLY | (flags & O_NONBLOCK), pipe);
	if (ends[0] && ends[1])
		return 0;
	for (int i = 0; i < 2; i++) {
		if (ends[i])
			kfree(ends[i]);
	}
	kfree(pipe->ring);
	kfree(pipe);
	return -ENOMEM;
}

long sys_pipe2(u64 user_fds, u32 flags)
{
	struct file *ends[2];
	int fds[2];
	long error;

	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	error = pipe_files(ends, flags);
	if (error)
		return error;
	fds[0] = (int)fd_install(ends[0], 0, flags & O_CLOEXEC);
	if (fds[0] < 0) {
		file_put(ends[1]);
		return fds[0];
	}
	fds[1] = (int)fd_install(ends[1], 0, flags & O_CLOEXEC);
	if (fds[1] < 0) {
		sys_close(fds[0]);
		return fds[1];
	}
	error = copy_to_user(user_fds, fds, sizeof(fds));
	if (error) {
		sys_close(fds[0]);
		sys_close(fds[1]);
	}
	return error;
}

long sys_pipe(u64 user_fds)
{
	return sys_pipe2(user_fds, 0);
}
