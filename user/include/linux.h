/*
 * linux.h - the part of Linux's x86-64 ABI that our programs use: call numbers, error
 * numbers, flags and structures.
 *
 * Numbers and layouts only. It must never hold anything that Linux does not define; our
 * own additions are in tarry.h.
 */
#ifndef LINUX_H
#define LINUX_H

#include <stddef.h>
#include <stdint.h>

enum {
	SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_stat = 4, SYS_fstat = 5,
	SYS_lstat = 6, SYS_poll = 7, SYS_lseek = 8, SYS_mmap = 9, SYS_mprotect = 10,
	SYS_munmap = 11, SYS_brk = 12, SYS_rt_sigaction = 13, SYS_rt_sigreturn = 15,
	SYS_ioctl = 16, SYS_pread64 = 17, SYS_readv = 19, SYS_writev = 20, SYS_access = 21,
	SYS_pipe = 22, SYS_sched_yield = 24, SYS_mremap = 25, SYS_madvise = 28, SYS_dup = 32,
	SYS_dup2 = 33, SYS_pause = 34, SYS_nanosleep = 35, SYS_alarm = 37, SYS_getpid = 39,
	SYS_clone = 56, SYS_fork = 57, SYS_vfork = 58, SYS_execve = 59, SYS_exit = 60,
	SYS_wait4 = 61, SYS_kill = 62, SYS_uname = 63, SYS_fcntl = 72, SYS_getcwd = 79,
	SYS_chdir = 80, SYS_readlink = 89, SYS_gettimeofday = 96, SYS_ptrace = 101, SYS_setpgid = 109,
	SYS_getppid = 110, SYS_arch_prctl = 158, SYS_gettid = 186, SYS_tkill = 200,
	SYS_time = 201, SYS_futex = 202, SYS_sched_setaffinity = 203,
	SYS_sched_getaffinity = 204, SYS_getdents64 = 217, SYS_set_tid_address = 218,
	SYS_clock_gettime = 228, SYS_clock_getres = 229, SYS_clock_nanosleep = 230,
	SYS_exit_group = 231, SYS_tgkill = 234, SYS_openat = 257, SYS_newfstatat = 262,
	SYS_readlinkat = 267, SYS_set_robust_list = 273, SYS_get_robust_list = 274,
	SYS_pipe2 = 293, SYS_prlimit64 = 302, SYS_process_vm_readv = 310, SYS_process_vm_writev = 311,
	SYS_getrandom = 318,
	SYS_pkey_mprotect = 329, SYS_pkey_alloc = 330, SYS_pkey_free = 331,
	SYS_getcpu = 309, SYS_clone3 = 435,
};

enum {
	EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, E2BIG = 7, ENOEXEC = 8, EBADF = 9,
	ECHILD = 10, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EBUSY = 16,
	EEXIST = 17, EXDEV = 18, ENODEV = 19, ENOTDIR = 20, EISDIR = 21, EINVAL = 22,
	ENFILE = 23, EMFILE = 24, ENOTTY = 25, EFBIG = 27, ENOSPC = 28, ESPIPE = 29,
	EROFS = 30, EPIPE = 32, ERANGE = 34, EDEADLK = 35, ENAMETOOLONG = 36, ENOSYS = 38,
	ELOOP = 40, EOVERFLOW = 75, ETIMEDOUT = 110,
};

enum {
	SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7,
	SIGFPE = 8, SIGKILL = 9, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13,
	SIGALRM = 14, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGTTOU = 22, SIGSYS = 31,
};

/* open, fcntl, lseek */
enum {
	O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0100, O_EXCL = 0200,
	O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000, O_DIRECTORY = 0200000,
	O_CLOEXEC = 02000000,
	F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030,
	FD_CLOEXEC = 1, SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2,
	AT_FDCWD = -100, AT_EMPTY_PATH = 0x1000, PIPE_BUF = 4096,
};

/* getrandom */
enum { GRND_NONBLOCK = 1, GRND_RANDOM = 2 };

/* mmap, mprotect, madvise */
enum {
	PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4,
	MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
	MAP_NORESERVE = 0x4000, MAP_FIXED_NOREPLACE = 0x100000, MADV_DONTNEED = 4,
	PKEY_DISABLE_ACCESS = 1, PKEY_DISABLE_WRITE = 2,
};

/* clone, futex, wait4, clocks, arch_prctl */
enum {
	CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800,
	CLONE_VFORK = 0x4000, CLONE_THREAD = 0x10000, CLONE_SYSVSEM = 0x40000, CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000, CLONE_CHILD_CLEARTID = 0x200000,
	FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE = 4,
	FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET = 10, FUTEX_PRIVATE = 0x80,
	FUTEX_CLOCK_REALTIME = 0x100, WNOHANG = 1,
	CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, TIMER_ABSTIME = 1,
	ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004,
	ARCH_GET_XCOMP_SUPP = 0x1021, ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023,
};

/* ptrace */
enum {
	WUNTRACED = 2, WALL = 0x40000000,
	PTRACE_TRACEME = 0, PTRACE_PEEKDATA = 2, PTRACE_POKEDATA = 5, PTRACE_CONT = 7, PTRACE_SINGLESTEP = 9,
	PTRACE_GETREGS = 12, PTRACE_SETREGS = 13, PTRACE_GETFPREGS = 14, PTRACE_SETFPREGS = 15, PTRACE_ATTACH = 16,
	PTRACE_DETACH = 17, PTRACE_SYSCALL = 24, PTRACE_SETOPTIONS = 0x4200, PTRACE_GETEVENTMSG = 0x4201,
	PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205, PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207,
	NT_PRSTATUS = 1, NT_PRFPREG = 2, NT_X86_XSTATE = 0x202,
};

/* The terminal. */
enum {
	TCGETS = 0x5401, TCSETS = 0x5402, TIOCGPGRP = 0x540f, TIOCSPGRP = 0x5410,
	TIOCGWINSZ = 0x5413,
	TTY_ICRNL = 0x100, TTY_ISIG = 1, TTY_ICANON = 2, TTY_ECHO = 8, TTY_VTIME = 5, TTY_VMIN = 6,
};

enum { AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_ENTRY = 9,
       AT_SECURE = 23, AT_RANDOM = 25, AT_EXECFN = 31, AT_MINSIGSTKSZ = 51 };

enum { S_IFMT = 0170000, S_IFDIR = 0040000, S_IFCHR = 0020000, S_IFREG = 0100000,
       S_IFIFO = 0010000 };

struct timespec {
	int64_t tv_sec;
	int64_t tv_nsec;
};

struct iovec {
	void *base;
	size_t len;
};

struct winsize {
	uint16_t rows, columns, xpixel, ypixel;
};

struct termios {
	uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line, c_cc[19];
};

struct stat {
	uint64_t st_dev, st_ino, st_nlink;
	uint32_t st_mode, st_uid, st_gid, pad0;
	uint64_t st_rdev;
	int64_t st_size, st_blksize, st_blocks;
	struct timespec st_atime, st_mtime, st_ctime;
	int64_t unused[3];
};

struct dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

struct utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

#define WIFEXITED(s)	(((s) & 0x7f) == 0)
#define WEXITSTATUS(s)	(((s) >> 8) & 0xff)
#define WIFSIGNALED(s)	(((s) & 0x7f) != 0 && ((s) & 0x7f) != 0x7f)
#define WTERMSIG(s)	((s) & 0x7f)

#endif
