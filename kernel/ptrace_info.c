/*
 * What a tracer may learn of the reason of a stop, and of the signals that wait. It all concerns a tracee that is
 * stopped and frozen.
 */
#include "kernel/errno.h"
#include "kernel/ptrace.h"
#include "kernel/uaccess.h"
#include "sched/process.h"
#include "sched/stop.h"

#define AUDIT_ARCH_X86_64 0xc000003eu
#define PEEKSIGINFO_SHARED 1u
#define SYSGOOD_CODE (SIGTRAP | 0x80)

enum syscall_op { OP_NONE, OP_ENTRY, OP_EXIT };

/* Linux's struct ptrace_syscall_info. */
struct syscall_info {
	u8 op, reserved;
	u16 flags;
	u32 arch;
	u64 rip, rsp;
	union {
		struct {
			u64 number, arguments[6];
		} entry;
		struct {
			s64 result;
			u8 is_error;
		} exit;
	};
};

static long put_siginfo(u64 user_info, const struct siginfo *info)
{
	return clear_user(user_info, SIGINFO_SIZE) || copy_to_user(user_info, info, sizeof(*info)) ? -EFAULT : 0;
}

static long set_siginfo(const struct tracee *tracee, u64 user_info)
{
	struct siginfo info;

	if (copy_from_user(&info, user_info, sizeof(info)))
		return -EFAULT;
	if (!tracee->info)
		return -EINVAL;
	*tracee->info = info;
	return 0;
}

/* The n-th queued signal; false if there are not so many. */
static bool queued(struct tracee *tracee, u32 flags, u64 n, struct siginfo *info)
{
	u64 irq = spin_lock_irq(&task_lock);
	struct task *task = tracee->task;
	struct list *queue = flags & PEEKSIGINFO_SHARED ? &task->process->pending.queue : &task->signals.pending.queue;
	struct pending_signal *entry;
	bool found = false;

	list_for_each(entry, queue, link)
		if (!n--) {
			*info = entry->info;
			found = true;
			break;
		}
	spin_unlock_irq(&task_lock, irq);
	return found;
}

/* How many were copied; an error only if there was none before it. */
static long peek_siginfo(struct tracee *tracee, u64 user_arguments, u64 user_infos)
{
	struct {
		u64 offset;
		u32 flags;
		int n;
	} arguments;
	struct siginfo info;
	long done = 0;

	if (copy_from_user(&arguments, user_arguments, sizeof(arguments)))
		return -EFAULT;
	if (arguments.flags & ~PEEKSIGINFO_SHARED || arguments.n < 0)
		return -EINVAL;
	for (; done < arguments.n; done++) {
		if (!queued(tracee, arguments.flags, arguments.offset + (u64)done, &info))
			break;
		if (put_siginfo(user_infos + (u64)done * SIGINFO_SIZE, &info))
			return done ? done : -EFAULT;
	}
	return done;
}

static u64 fill_entry(struct syscall_info *info, const struct regs *regs)
{
	info->op = OP_ENTRY;
	info->entry.number = regs->orig_rax;
	info->entry.arguments[0] = regs->rdi;
	info->entry.arguments[1] = regs->rsi;
	info->entry.arguments[2] = regs->rdx;
	info->entry.arguments[3] = regs->r10;
	info->entry.arguments[4] = regs->r8;
	info->entry.arguments[5] = regs->r9;
	return offsetof(struct syscall_info, entry) + sizeof(info->entry);
}

static u64 fill_exit(struct syscall_info *info, const struct regs *regs)
{
	info->op = OP_EXIT;
	info->exit.result = (s64)regs->rax;
	info->exit.is_error = info->exit.result < 0 && info->exit.result >= -ERRNO_MAX;
	return offsetof(struct syscall_info, exit.is_error) + 1;
}

/* Known only where the tracer has asked for good stops. Returns the size of what there is to tell. */
static long get_syscall_info(const struct tracee *tracee, u64 room, u64 user_info)
{
	const struct regs *regs = task_regs(tracee->task);
	struct syscall_info info = { .arch = AUDIT_ARCH_X86_64, .rip = regs->rip, .rsp = regs->rsp };
	u64 size = offsetof(struct syscall_info, entry);

	if (tracee->info && tracee->info->code == SYSGOOD_CODE)
		size = (tracee->message == PTRACE_SYSCALL_ENTRY ? fill_entry : fill_exit)(&info, regs);
	return copy_to_user(user_info, &info, MIN(size, room)) ? -EFAULT : (long)size;
}

long ptrace_info(struct tracee *tracee, u64 request, u64 address, u64 data)
{
	switch (request) {
	case PTRACE_GETEVENTMSG:
		return copy_to_user(data, &tracee->message, sizeof(tracee->message));
	case PTRACE_GETSIGINFO:
		return tracee->info ? put_siginfo(data, tracee->info) : -EINVAL;
	case PTRACE_SETSIGINFO:
		return set_siginfo(tracee, data);
	case PTRACE_PEEKSIGINFO:
		return peek_siginfo(tracee, address, data);
	case PTRACE_GET_SYSCALL_INFO:
		return get_syscall_info(tracee, address, data);
	default:
		return -EIO;
	}
}
