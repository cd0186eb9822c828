/*
 * The two tables that entry.asm calls through, made from syscalls.def, and the answer to numbers that are in
 * neither: ENOSYS, and one line in the log for each.
 */
#include "kernel/errno.h"
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "sched/task.h"

typedef long (*syscall_fn)(void);

enum { INT80_GETPID = 20, INT80_KILL = 37, INT80_GETTID = 224 };

long sys_missing(void);
long sys_missing_beyond(void);

#define SYSCALL(number, name, ...)                                                                 \
	[(number) < LINUX_CALLS ? (number) : LINUX_CALLS] =                                        \
		(number) < LINUX_CALLS ? (syscall_fn)sys_##name : (syscall_fn)sys_missing,
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#pragma GCC diagnostic ignored "-Wcast-function-type"
const syscall_fn syscall_table[LINUX_CALLS + 1] = {
	[0 ... LINUX_CALLS] = sys_missing,
#include "kernel/syscalls.def"
};
#undef SYSCALL

#define SYSCALL(number, name, ...)                                                                 \
	[(number) < LINUX_CALLS ? OWN_CALLS : (number) - TARRY_SYS_FIRST] = (syscall_fn)sys_##name,
const syscall_fn own_syscall_table[OWN_CALLS + 1] = {
	[0 ... OWN_CALLS] = sys_missing_beyond,
#include "kernel/syscalls.def"
};
#undef SYSCALL
#pragma GCC diagnostic pop

static bool logged[LINUX_CALLS], logged_beyond[LINUX_CALLS];

static __attribute__((noinline)) long log_missing(u64 number, bool *once)
{
	if (!*once)
		klog("system call %ld is not implemented (%s[%d])", (long)number, current->name, current->tid);
	*once = true;
	this_cpu_count(syscalls_missing);
	return -ENOSYS;
}

/* The empty places of syscall_table. */
long sys_missing(void)
{
	u64 number = task_regs(current)->orig_rax;

	if (unlikely(!logged[number]))
		return log_missing(number, &logged[number]);
	this_cpu_count(syscalls_missing);
	return -ENOSYS;
}

/* INT 0x80: of Linux's 32-bit system calls those that pass no pointer, for 64-bit programs that make them so. */
long syscall_int80(const struct regs *regs)
{
	switch ((u32)regs->rax) {
	case INT80_GETPID:
		return sys_getpid();
	case INT80_KILL:
		return sys_kill((int)regs->rbx, (int)regs->rcx);
	case INT80_GETTID:
		return sys_gettid();
	default:
		return -ENOSYS;
	}
}

/* Numbers outside both tables. */
long sys_missing_beyond(void)
{
	u64 number = task_regs(current)->orig_rax;

	if (unlikely(!logged_beyond[number % LINUX_CALLS]))
		return log_missing(number, &logged_beyond[number % LINUX_CALLS]);
	this_cpu_count(syscalls_missing);
	return -ENOSYS;
}
