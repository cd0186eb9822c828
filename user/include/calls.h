/*
 * calls.h - system calls as C functions.
 *
 * Each returns what the kernel returned: a value, or a negative error number. There is no
 * errno, and nothing here may retry, buffer or hide an answer: the tests rely on that.
 */
#ifndef CALLS_H
#define CALLS_H

#include <linux.h>
#include <tarry.h>

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall" : "+a"(nr)
			 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return nr;
}

#define syscall0(n)		syscall6(n, 0, 0, 0, 0, 0, 0)
#define syscall1(n, a)		syscall6(n, (long)(a), 0, 0, 0, 0, 0)
#define syscall2(n, a, b)	syscall6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define syscall3(n, a, b, c)	syscall6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define syscall4(n, a, b, c, d)	syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static inline long read(int fd, void *buf, size_t n) { return syscall3(SYS_read, fd, buf, n); }
static inline long write(int fd, const void *buf, size_t n)
{
	return syscall3(SYS_write, fd, buf, n);
}
static inline long open(const char *path, int flags) { return syscall3(SYS_open, path, flags, 0644); }
static inline long close(int fd) { return syscall1(SYS_close, fd); }
static inline long fstat(int fd, struct stat *st) { return syscall2(SYS_fstat, fd, st); }
static inline long stat_path(const char *path, struct stat *st)
{
	return syscall4(SYS_newfstatat, AT_FDCWD, path, st, 0);
}
static inline long lseek(int fd, long offset, int whence)
{
	return syscall3(SYS_lseek, fd, offset, whence);
}
static inline long mmap(void *addr, size_t len, int prot, int flags, int fd, long offset)
{
	return syscall6(SYS_mmap, (long)addr, len, prot, flags, fd, offset);
}
static inline long munmap(void *addr, size_t len) { return syscall2(SYS_munmap, addr, len); }
static inline long mprotect(void *addr, size_t len, int prot)
{
	return syscall3(SYS_mprotect, addr, len, prot);
}
static inline long madvise(void *addr, size_t len, int advice)
{
	return syscall3(SYS_madvise, addr, len, advice);
}
static inline long pkey_mprotect(void *addr, size_t len, int prot, int key)
{
	return syscall4(SYS_pkey_mprotect, addr, len, prot, key);
}
static inline long pkey_alloc(unsigned int flags, unsigned int rights)
{
	return syscall2(SYS_pkey_alloc, flags, rights);
}
static inline long pkey_free(int key) { return syscall1(SYS_pkey_free, key); }
static inline long brk(void *end) { return syscall1(SYS_brk, end); }
static inline long ioctl(int fd, unsigned int command, void *arg)
{
	return syscall3(SYS_ioctl, fd, command, arg);
}
static inline long pipe(int fds[2]) { return syscall1(SYS_pipe, fds); }
static inline long pipe2(int fds[2], int flags) { return syscall2(SYS_pipe2, fds, flags); }
static inline long dup(int fd) { return syscall1(SYS_dup, fd); }
static inline long dup2(int from, int to) { return syscall2(SYS_dup2, from, to); }
static inline long fcntl(int fd, int command, long arg)
{
	return syscall3(SYS_fcntl, fd, command, arg);
}
static inline long getdents64(int fd, void *buf, size_t n)
{
	return syscall3(SYS_getdents64, fd, buf, n);
}
static inline long chdir(const char *path) { return syscall1(SYS_chdir, path); }
static inline long getcwd(char *buf, size_t n) { return syscall2(SYS_getcwd, buf, n); }
static inline long sched_yield(void) { return syscall0(SYS_sched_yield); }
static inline long getpid(void) { return syscall0(SYS_getpid); }
static inline long getppid(void) { return syscall0(SYS_getppid); }
static inline long gettid(void) { return syscall0(SYS_gettid); }
static inline long fork(void) { return syscall0(SYS_fork); }
static inline long execve(const char *path, char *const argv[], char *const envp[])
{
	return syscall3(SYS_execve, path, argv, envp);
}
static inline long wait4(int pid, int *status, int options)
{
	return syscall4(SYS_wait4, pid, status, options, 0);
}
static inline long kill(int pid, int signal) { return syscall2(SYS_kill, pid, signal); }
static inline long setpgid(int pid, int group) { return syscall2(SYS_setpgid, pid, group); }
static inline long nanosleep(const struct timespec *t, struct timespec *left)
{
	return syscall2(SYS_nanosleep, t, left);
}
static inline long clock_gettime(int clock, struct timespec *t)
{
	return syscall2(SYS_clock_gettime, clock, t);
}
static inline long futex(void *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall4(SYS_futex, word, op, value, timeout);
}
static inline _Noreturn void exit_thread(int status)
{
	for (;;)
		syscall1(SYS_exit, status);
}
static inline _Noreturn void exit(int status)
{
	for (;;)
		syscall1(SYS_exit_group, status);
}
static inline long stats(struct tarry_stats *s, size_t size)
{
	return syscall2(TARRY_SYS_STATS, s, size);
}
static inline long debug(long command, long arg)
{
	return syscall2(TARRY_SYS_DEBUG, command, arg);
}
static inline long crypt(struct tarry_crypt *call)
{
	return syscall1(TARRY_SYS_CRYPT, call);
}
static inline long update(struct tarry_update *call)
{
	return syscall1(TARRY_SYS_UPDATE, call);
}
static inline long pasid_bind(void)
{
	return syscall0(TARRY_SYS_PASID_BIND);
}
static inline long vcpu_create(void) { return syscall0(TARRY_SYS_VCPU_CREATE); }
static inline long vcpu_run(long fd, const struct tarry_vcpu_regs *regs, uint64_t budget)
{
	return syscall3(TARRY_SYS_VCPU_RUN, fd, regs, budget);
}
static inline long vcpu_exit_info(long fd, struct tarry_vcpu_exit *info)
{
	return syscall2(TARRY_SYS_VCPU_EXIT_INFO, fd, info);
}
static inline long vcpu_memory(long fd, const struct tarry_vcpu_memory *memory)
{
	return syscall2(TARRY_SYS_VCPU_MEMORY, fd, memory);
}
static inline long vcpu_set_fpu(long fd, const struct tarry_vcpu_fpu *fpu)
{
	return syscall2(TARRY_SYS_VCPU_SET_FPU, fd, fpu);
}
static inline long vcpu_get_fpu(long fd, struct tarry_vcpu_fpu *fpu)
{
	return syscall2(TARRY_SYS_VCPU_GET_FPU, fd, fpu);
}
static inline long getrandom(void *buf, size_t n, unsigned int flags)
{
	return syscall3(SYS_getrandom, buf, n, flags);
}

/* Both IPC calls send and receive the message in the same five registers. */
static inline long ipc(long nr, long pid, uint64_t message[TARRY_IPC_WORDS])
{
	register uint64_t r10 __asm__("r10") = message[2];
	register uint64_t r8 __asm__("r8") = message[3];
	register uint64_t r9 __asm__("r9") = message[4];
	uint64_t rsi = message[0], rdx = message[1];

	__asm__ volatile("syscall" : "+a"(nr), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "D"(pid) : "rcx", "r11", "memory");
	message[0] = rsi;
	message[1] = rdx;
	message[2] = r10;
	message[3] = r8;
	message[4] = r9;
	return nr;
}
static inline long ipc_call(int pid, uint64_t message[TARRY_IPC_WORDS])
{
	return ipc(TARRY_SYS_IPC_CALL, pid, message);
}
static inline long ipc_reply_wait(int pid, uint64_t message[TARRY_IPC_WORDS])
{
	return ipc(TARRY_SYS_IPC_REPLY_WAIT, pid, message);
}

#endif
