/*
 * ptrace: one thread, the tracer, watches and changes others, its tracees. What Linux's ptrace(2) says holds, but for
 * what ptrace.c says is missing. struct tracee and the stops themselves are in sched/stop.h.
 */
#ifndef KERNEL_PTRACE_H
#define KERNEL_PTRACE_H

#include "kernel/types.h"

struct regs;
struct task;
struct tracee;

#define STATUS_STOPPED 0x7f /* low byte of a status that tells of a stop */

enum ptrace_request {
	PTRACE_TRACEME = 0, PTRACE_PEEKTEXT = 1, PTRACE_PEEKDATA = 2, PTRACE_PEEKUSER = 3, PTRACE_POKETEXT = 4,
	PTRACE_POKEDATA = 5, PTRACE_POKEUSER = 6, PTRACE_CONT = 7, PTRACE_KILL = 8, PTRACE_SINGLESTEP = 9,
	PTRACE_GETREGS = 12, PTRACE_SETREGS = 13, PTRACE_GETFPREGS = 14, PTRACE_SETFPREGS = 15, PTRACE_ATTACH = 16,
	PTRACE_DETACH = 17, PTRACE_SYSCALL = 24, PTRACE_SYSEMU = 31, PTRACE_SYSEMU_SINGLESTEP = 32,
	PTRACE_SETOPTIONS = 0x4200, PTRACE_GETEVENTMSG = 0x4201, PTRACE_GETSIGINFO = 0x4202,
	PTRACE_SETSIGINFO = 0x4203, PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205, PTRACE_SEIZE = 0x4206,
	PTRACE_INTERRUPT = 0x4207, PTRACE_LISTEN = 0x4208, PTRACE_PEEKSIGINFO = 0x4209, PTRACE_GET_SYSCALL_INFO = 0x420e,
};

enum ptrace_event {
	PTRACE_EVENT_FORK = 1, PTRACE_EVENT_VFORK = 2, PTRACE_EVENT_CLONE = 3, PTRACE_EVENT_EXEC = 4,
	PTRACE_EVENT_VFORK_DONE = 5, PTRACE_EVENT_EXIT = 6, PTRACE_EVENT_STOP = 128,
};

/* PTRACE_O_...: bit n asks for event n; the first and the last are no events. */
#define PTRACE_O_TRACESYSGOOD 1u
#define PTRACE_O_EVENT(event) (1u << (event))
#define PTRACE_O_EXITKILL (1u << 20)
#define PTRACE_O_MASK (0xffu | PTRACE_O_EXITKILL)

/* What PTRACE_GETEVENTMSG tells at a system call. */
#define PTRACE_SYSCALL_ENTRY 1
#define PTRACE_SYSCALL_EXIT 2

/*
 * The running task stops for its tracer, if it has one, with that code; returns the signal that the tracer wants it to
 * get. Takes task_lock.
 */
int ptrace_event(int code, u64 message);
/* Has the running task's tracer asked for the event? The same, and it stops with it. */
bool ptrace_asked(enum ptrace_event event);
bool ptrace_asked_event(enum ptrace_event event, u64 message);
/* The running task has started a new program; old_tid: its tid before. */
void ptrace_exec(int old_tid);

/*
 * A child that such an event is about is traced from birth, as its parent is, and stops first thing. False if nobody
 * traces the parent any more, or tracee is NULL. With task_lock.
 */
bool ptrace_adopt_child(struct tracee *tracee, struct task *child);

/* TF in the frame of a stopped task, or the running one, on the tracer's behalf. */
void ptrace_set_step(struct task *task, bool on);
/* A single step that nobody waits for any more has trapped: true, and it was the last. */
bool ptrace_stray_step(struct regs *regs);

/* entry.asm, where the CPU watches: the number of the system call to make, its arguments being those in regs; -1: none. */
u64 ptrace_syscall_entry(struct regs *regs);
/* The running task's system call ends: its tracer may want to know. Interrupts on. */
void ptrace_syscall_exit(const struct regs *regs);
/* entry.asm, instead of exit_to_user_work (traps.h) where a system call ends. Interrupts off. */
bool syscall_exit_work(struct regs *regs);

/* ptrace_info.c: the requests about a stop's reason, those that nobody knows included. */
long ptrace_info(struct tracee *tracee, u64 request, u64 address, u64 data);

/*
 * ptrace_regs.c: a stopped and frozen task's registers. 0 or an error, and nothing has changed; sizes in bytes. Offsets
 * are those of Linux's struct user.
 */
long ptrace_peek_user(struct task *task, u64 offset, u64 *value);
long ptrace_poke_user(struct task *task, u64 offset, u64 value);
long ptrace_get_regs(struct task *task, u64 user_regs);
long ptrace_set_regs(struct task *task, u64 user_regs);
long ptrace_get_fpregs(struct task *task, u64 user_fpregs);
long ptrace_set_fpregs(struct task *task, u64 user_fpregs);
/* A register set by its ELF note type; iovec: in, the room; out, what was used of it. */
long ptrace_regset(struct task *task, u64 type, u64 user_iovec, bool write);

#endif
