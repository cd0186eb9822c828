/*
 * The two tables that entry.asm calls through, made from syscalls.def, and the answer to numbers that are in
 * neither: ENOSYS, and one line in the log for each.
 */
#include "kernel/errno.h"
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "sched/task.h"

typedef long (*syscall_fn)(void);

long sys_missing(void);

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
#include "kernel/syscalls.def"
};
#undef SYSCALL
#pragma GCC diagnostic pop

static u64 logged[2 * LINUX_CALLS / 64]; /* numbers beyond Linux's share the upper half */
static u64 missing;

u64 syscalls_missing(void)
{
	return missing;
}

static void log_missing(u64 number)
{
	klog("system call %ld is not implemented (%s[%d])", (long)number, current->name, current->tid);
}

long sys_missing(void)
{
	u64 number = task_regs(current)->orig_rax;
	u64 index = number < LINUX_CALLS ? number : LINUX_CALLS + number % LINUX_CALLS;
	u64 bit = BIT(index % 64);

	missing++;
	if (unlikely(!(logged[index / 64] & bit))) {
		logged[index / 64] |= bit;
		log_missing(number);
	}
	return -ENOSYS;
}
