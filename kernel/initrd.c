/*
 * The root directory: the boot image's files, read-only, in memory for good, plus /dev/null and /dev/zero
 * and the terminal. A path is looked up in the list of all entries; there are no directories on the way to
 * walk through and nothing to lock.
 */
#include "kernel/bootinfo.h"
#include "kernel/cpio.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/initrd.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

struct node {
	const char *name; /* as path_normalise makes it: "/bin/sh", the root "" */
	u32 mode;
	struct file_data data;
};

static struct node *nodes;
static u32 nnodes;

static void add_node(const struct cpio_entry *entry)
{
	const char *name = entry->name;
	char path[PATH_MAX], *copy;

	if (path_normalise(path, "", name) || !path[0])
		return;
	copy = kmalloc(strlen(path) + 1);
	if (!copy)
		panic("no memory for the boot image's directory");
	memcpy(copy, path, strlen(path) + 1);
	nodes[nnodes++] = (struct node){ copy, entry->mode, { entry->data, entry->size } };
}

void initrd_init(void)
{
	const struct boot_module *module = boot_module("image");
	struct cpio_entry entry;
	u64 offset = 0, size;
	u32 count = 1;
	int more;

	if (!module)
		panic("no boot image: the boot loader gave no module named \"image\"");
	size = module->range.end - module->range.start;
	while ((more = cpio_next(phys_to_virt(module->range.start), size, &offset, &entry)) > 0)
		count++;
	if (more < 0)
		panic("boot image damaged at byte %lu of %lu", offset, size);
	nodes = kmalloc(count * sizeof(*nodes));
	if (!nodes)
		panic("no memory for the boot image's directory");
	nodes[nnodes++] = (struct node){ "", S_IFDIR | 0755, { NULL, 0 } };
	for (offset = 0; cpio_next(phys_to_virt(module->range.start), size, &offset, &entry) > 0;)
		add_node(&entry);
	klog("boot image: %u entries, %lu KB", nnodes, size / 1024);
}

static const struct node *find(const char *path)
{
	for (u32 i = 0; i < nnodes; i++)
		if (!strcmp(nodes[i].name, path))
			return &nodes[i];
	return NULL;
}

static bool is_directory(const struct node *node)
{
	return (node->mode & S_IFMT) == S_IFDIR;
}

/* Why there is nothing at path: -ENOTDIR if something on the way is not a directory. */
static long not_found(const char *path)
{
	char way[PATH_MAX];
	const struct node *node;

	copy_string(way, path, sizeof(way));
	for (size_t n = strlen(way); n; n--) {
		if (way[n] != '/')
			continue;
		way[n] = '\0';
		node = find(way);
		if (node)
			return is_directory(node) ? -ENOENT : -ENOTDIR;
	}
	return -ENOENT;
}

static void node_stat(const struct node *node, struct stat *stat)
{
	stat->ino = (u64)(node - nodes) + 1;
	stat->mode = node->mode;
	stat->size = (s64)node->data.size;
	stat->blocks = (s64)ALIGN_UP(node->data.size, 512) / 512;
}

/* Read once and for all: another thread may move it any time. */
static u64 position_of(const struct file *file)
{
	return __atomic_load_n(&file->position, __ATOMIC_RELAXED);
}

static long initrd_read(struct file *file, u64 buf, size_t n)
{
	const struct node *node = file->object;
	u64 position = position_of(file);
	size_t left;

	if (is_directory(node))
		return -EISDIR;
	if (position >= node->data.size)
		return 0;
	n = MIN(n, node->data.size - position);
	left = copy_to_user_partial(buf, node->data.bytes + position, n);
	if (left == n && n)
		return -EFAULT;
	file->position = position + n - left;
	return (long)(n - left);
}

static long initrd_write(struct file *file, u64 buf, size_t n)
{
	(void)file, (void)buf, (void)n;
	return -EBADF;
}

static long initrd_seek(struct file *file, s64 offset, int whence)
{
	const struct node *node = file->object;
	s64 base;

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = (s64)position_of(file);
		break;
	case SEEK_END:
		base = (s64)node->data.size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &base) || base < 0)
		return -EINVAL;
	file->position = (u64)base;
	return (long)base;
}

static void initrd_stat(struct file *file, struct stat *stat)
{
	node_stat(file->object, stat);
}

static const struct file_ops initrd_ops = {
	.read = initrd_read, .write = initrd_write, .seek = initrd_seek, .stat = initrd_stat,
};

const struct file_data *file_contents(struct file *file)
{
	const struct node *node = file->object;

	return file->ops == &initrd_ops && !is_directory(node) ? &node->data : NULL;
}

const char *file_directory(struct file *file)
{
	const struct node *node = file->object;

	return file->ops == &initrd_ops && is_directory(node) ? node->name : NULL;
}

static long null_read(struct file *file, u64 buf, size_t n)
{
	(void)file, (void)buf, (void)n;
	return 0;
}

static long zero_read(struct file *file, u64 buf, size_t n)
{
	(void)file;
	return clear_user(buf, n) ? -EFAULT : (long)n;
}

static long null_write(struct file *file, u64 buf, size_t n)
{
	(void)file, (void)buf;
	return (long)n;
}

static void device_stat(struct file *file, struct stat *stat)
{
	(void)file;
	stat->mode = S_IFCHR | 0666;
}

static const struct file_ops null_ops = { .read = null_read, .write = null_write, .stat = device_stat };
static const struct file_ops zero_ops = { .read = zero_read, .write = null_write, .stat = device_stat };

static struct file *device_open(const char *path, u32 flags)
{
	if (!strcmp(path, "/dev/null"))
		return file_create(&null_ops, flags, NULL);
	if (!strcmp(path, "/dev/zero"))
		return file_create(&zero_ops, flags, NULL);
	if (!strcmp(path, "/dev/tty") || !strcmp(path, "/dev/console"))
		return tty_open(TTY_CONSOLE);
	return NULL;
}

static long open_error(const char *path, const struct node *node, u32 flags)
{
	if (!node && not_found(path) == -ENOENT && flags & O_CREAT)
		return -EROFS;
	if (!node)
		return not_found(path);
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (is_directory(node) && ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT))
		return -EISDIR;
	if (!is_directory(node) && flags & O_DIRECTORY)
		return -ENOTDIR;
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC ? -EROFS : 0;
}

struct file *path_open(const char *path, u32 flags, long *error)
{
	const struct node *node = find(path);
	struct file *file = device_open(path, flags);

	if (file)
		return file;
	*error = open_error(path, node, flags);
	if (*error)
		return NULL;
	file = file_create(&initrd_ops, flags, node);
	*error = file ? 0 : -ENOMEM;
	return file;
}

static long contents_with_mode(const char *path, u32 mode, struct file_data *data)
{
	const struct node *node = find(path);

	if (!node)
		return not_found(path);
	if (is_directory(node) || (node->mode & mode) != mode)
		return -EACCES;
	*data = node->data;
	return 0;
}

long path_data(const char *path, struct file_data *data)
{
	return contents_with_mode(path, 0, data);
}

long path_executable(const char *path, struct file_data *data)
{
	return contents_with_mode(path, 0111, data);
}

long path_stat(const char *path, struct stat *stat)
{
	const struct node *node = find(path);
	struct file *device;

	if (node) {
		node_stat(node, stat);
		return 0;
	}
	device = device_open(path, O_RDWR);
	if (!device)
		return not_found(path);
	device->ops->stat(device, stat);
	file_put(device);
	return 0;
}

struct dirent64 {
	u64 ino;
	s64 next;
	u16 length;
	u8 type;
	char name[];
};

#define DT_DIR 4
#define DT_REG 8

/* The name of node inside directory, or NULL if it lies elsewhere. */
static const char *name_inside(const struct node *node, const struct node *directory)
{
	size_t n = strlen(directory->name);
	const char *name = node->name + n + 1;

	if (!node->name[0] || strncmp(node->name, directory->name, n) || node->name[n] != '/' || strchr(name, '/'))
		return NULL;
	return name;
}

/* One entry to user memory: its length, 0 if it does not fit, -EFAULT. */
static long put_entry(u64 buf, size_t room, u64 index, const struct node *node, const char *name)
{
	struct dirent64 entry = { .ino = (u64)(node - nodes) + 1, .next = (s64)index + 1 };
	size_t head = offsetof(struct dirent64, name), n = strlen(name) + 1;

	entry.length = (u16)ALIGN_UP(head + n, 8);
	entry.type = is_directory(node) ? DT_DIR : DT_REG;
	if (entry.length > room)
		return 0;
	if (copy_to_user(buf, &entry, head) || copy_to_user(buf + head, name, n))
		return -EFAULT;
	return entry.length;
}

/* A directory's file position counts ".", "..", and then all nodes of the image, whose most are elsewhere. */
static long list_directory(struct file *file, u64 buf, size_t size)
{
	const struct node *directory = file->object;
	u64 position = position_of(file);
	size_t done = 0;

	for (; position < nnodes + 2; file->position = ++position) {
		const struct node *node = directory;
		const char *name = position ? ".." : ".";
		long n;

		if (position >= 2) {
			node = &nodes[position - 2];
			name = name_inside(node, directory);
		}
		if (!name)
			continue;
		n = put_entry(buf + done, size - done, position, node, name);
		if (n < 0)
			return n;
		if (!n)
			return done ? (long)done : -EINVAL;
		done += (size_t)n;
	}
	return (long)done;
}

long sys_getdents64(int fd, u64 buf, size_t size)
{
	struct file *file = file_get(fd);
	long result = -ENOTDIR;

	if (!file)
		return -EBADF;
	if (file->ops == &initrd_ops && is_directory(file->object))
		result = list_directory(file, buf, size);
	file_put(file);
	return result;
}
