/*
 * execve: a new address space from an ELF file, a new stack with arguments, environment and auxiliary vector
 * as the System V ABI wants them, fresh registers. All that can fail because of the caller happens before
 * the old program is given up.
 */
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "kernel/elf.h"
#include "kernel/errno.h"
#include "kernel/file.h"
#include "kernel/futex.h"
#include "kernel/initrd.h"
#include "kernel/insn.h"
#include "kernel/mm.h"
#include "kernel/ptrace.h"
#include "kernel/random.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "kernel/update.h"
#include "sched/exec.h"
#include "sched/process.h"
#include "sched/sched.h"
#include "sched/signal.h"

#define PIE_BASE 0x555555554000ul
#define INITIAL_STACK (32 * PAGE_SIZE + EXEC_STRINGS_SIZE)
#define RFLAGS_START 0x202

enum auxv {
	AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7, AT_FLAGS = 8,
	AT_ENTRY = 9, AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_CLKTCK = 17, AT_SECURE = 23,
	AT_RANDOM = 25, AT_EXECFN = 31, AT_MINSIGSTKSZ = 51,
};

long exec_args_init(struct exec_args *args)
{
	*args = (struct exec_args){ .strings = kmalloc(EXEC_STRINGS_SIZE) };
	return args->strings ? 0 : -ENOMEM;
}

void exec_args_free(struct exec_args *args)
{
	kfree(args->strings);
}

long exec_args_add(struct exec_args *args, const char *string)
{
	size_t n = strlen(string) + 1;

	if (n > EXEC_STRINGS_SIZE - args->used)
		return -E2BIG;
	memcpy(args->strings + args->used, string, n);
	args->used += n;
	return 0;
}

/* Copies the strings of a NULL-terminated user array of pointers; a NULL array counts as empty. */
static long add_user_strings(struct exec_args *args, u64 array, u32 *count)
{
	u64 pointer;

	for (; array; array += sizeof(pointer), ++*count) {
		long n;

		if (copy_from_user(&pointer, array, sizeof(pointer)))
			return -EFAULT;
		if (!pointer)
			break;
		n = string_from_user(args->strings + args->used, pointer, EXEC_STRINGS_SIZE - args->used);
		if (n < 0)
			return n == -ENAMETOOLONG ? -E2BIG : n;
		args->used += (u64)n + 1;
	}
	return 0;
}

/* The file's segments, the break behind them, and an empty stack. */
static long load(struct mm *mm, const struct file_data *file, const struct elf_image *image, u64 base)
{
	for (u32 i = 0; i < image->nsegments; i++) {
		const struct elf_segment *s = &image->segments[i];
		u64 slack = s->vaddr % PAGE_SIZE, start = base + s->vaddr - slack;

		if (mm_map(mm, start, ALIGN_UP(base + s->vaddr + s->memsz, PAGE_SIZE), s->prot,
			   file->bytes + s->offset - slack, s->filesz + slack))
			return -ENOMEM;
	}
	mm->brk_start = mm->brk = ALIGN_UP(base + image->end, PAGE_SIZE);
	if (mm_map(mm, STACK_TOP - INITIAL_STACK, STACK_TOP, PROT_READ | PROT_WRITE, NULL, 0))
		return -ENOMEM;
	mm_find(mm, STACK_TOP - 1)->grows_down = true;
	return 0;
}

/* Writes into an address space that nobody uses yet, page by page, through the kernel's mapping of all memory. */
struct stack_writer {
	struct mm *mm;
	u64 at;
	char *page; /* the one that at is in, once something was written there */
	bool failed;
};

static char *page_for_writing(struct mm *mm, u64 address)
{
	return mm_fault(mm, address, PF_WRITE) ? NULL :
	       page_address(phys_to_page(*mm_pte(mm, address) & PTE_ADDRESS));
}

static void write(struct stack_writer *w, const void *from, size_t n)
{
	while (n && !w->failed) {
		size_t offset = w->at % PAGE_SIZE, piece = MIN(n, PAGE_SIZE - offset);

		if (!w->page || !offset)
			w->page = page_for_writing(w->mm, w->at);
		w->failed = !w->page;
		if (w->failed)
			return;
		memcpy(w->page + offset, from, piece);
		w->at += piece;
		from = (const char *)from + piece;
		n -= piece;
	}
}

static void push(struct stack_writer *w, u64 value)
{
	write(w, &value, sizeof(value));
}

static void push_pair(struct stack_writer *w, enum auxv type, u64 value)
{
	push(w, type);
	push(w, value);
}

/* Pointers to n strings that follow each other from *address on. */
static void push_strings(struct stack_writer *w, const char **string, u64 *address, u32 n)
{
	while (n--) {
		size_t size = strlen(*string) + 1;

		push(w, *address);
		*string += size;
		*address += size;
	}
	push(w, 0);
}

static void push_auxv(struct stack_writer *w, const struct elf_image *image, u64 base, u64 random, u64 execfn)
{
	if (image->phdr) {
		push_pair(w, AT_PHDR, base + image->phdr);
		push_pair(w, AT_PHENT, ELF_PHDR_SIZE);
		push_pair(w, AT_PHNUM, image->phnum);
	}
	push_pair(w, AT_PAGESZ, PAGE_SIZE);
	push_pair(w, AT_BASE, 0);
	push_pair(w, AT_FLAGS, 0);
	push_pair(w, AT_ENTRY, base + image->entry);
	push_pair(w, AT_UID, USER_ID);
	push_pair(w, AT_EUID, USER_ID);
	push_pair(w, AT_GID, USER_ID);
	push_pair(w, AT_EGID, USER_ID);
	push_pair(w, AT_CLKTCK, 100);
	push_pair(w, AT_SECURE, 0);
	push_pair(w, AT_RANDOM, random);
	push_pair(w, AT_MINSIGSTKSZ, sigframe_size(fpu_config.xcr0));
	push_pair(w, AT_EXECFN, execfn);
	push_pair(w, AT_NULL, 0);
}

#define AUXV_PAIRS 17

/* Fills the stack of an address space; returns the stack pointer, or 0 when memory is out. */
static u64 build_stack(struct mm *mm, const char *path, const struct exec_args *args, const struct elf_image *image, u64 base)
{
	u64 execfn = STACK_TOP - 8 - (strlen(path) + 1);
	u64 strings = execfn - args->used, random = ALIGN_DOWN(strings, 16) - 16;
	u64 words = 1 + args->argc + 1 + args->envc + 1 + 2 * AUXV_PAIRS;
	u64 rsp = ALIGN_DOWN(random - words * 8, 16), bytes[2] = { random_u64(), random_u64() }, address = strings;
	struct stack_writer w = { mm, rsp, NULL, false }, text = { mm, random, NULL, false };
	const char *string = args->strings;

	write(&text, bytes, sizeof(bytes));
	text.at = strings;
	text.page = NULL;
	write(&text, args->strings, args->used);
	write(&text, path, strlen(path) + 1);
	push(&w, args->argc);
	push_strings(&w, &string, &address, args->argc);
	push_strings(&w, &string, &address, args->envc);
	push_auxv(&w, image, base, random, execfn);
	return w.failed || text.failed ? 0 : rsp;
}

/* Ends the process's other threads and waits until they are gone. -EAGAIN if another exec or an exit was first. */
static long become_single_threaded(struct process *process)
{
	u64 flags = spin_lock_irq(&task_lock);
	bool refused = process->killed || process->exec;

	if (!refused) {
		process->exec = true;
		process_kill_threads(process, current);
	}
	spin_unlock_irq(&task_lock, flags);
	if (refused)
		return -EAGAIN;
	if (wait_event_killable(&process->threads_gone, process->nthreads == 1)) {
		process->exec = false;
		return -EINTR;
	}
	return 0;
}

/* A lone thread that is not the first takes over the pid; what others meant for the old program is gone with it. */
static void take_over_pid(struct task *task, struct process *process)
{
	u64 flags = spin_lock_irq(&task_lock);

	if (task->tid != process->pid) {
		task_rename(task, process->pid);
		tracee_renamed(task);
	}
	updates_drop(task);
	spin_unlock_irq(&task_lock, flags);
}

static void use_address_space(struct task *task, struct mm *mm)
{
	struct mm *old = task->process->mm;
	u64 flags = spin_lock_irq(&task_lock); /* others may look for it */

	task->mm = task->process->mm = mm;
	mm_switch(mm);
	ldt_switch(mm->ldt);
	vfork_release(task);
	spin_unlock_irq(&task_lock, flags);
	if (old)
		mm_put(old);
}

static void reset_registers(struct task *task, u64 rip, u64 rsp)
{
	struct regs *regs = task_regs(task);
	u64 flags;

	memset(regs, 0, sizeof(*regs));
	regs->rip = rip;
	regs->rsp = rsp;
	regs->rflags = RFLAGS_START;
	regs->cs = USER_CS;
	regs->ss = USER_SS;
	flags = irq_save();
	asm volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%fs\n\tswapgs\n\tmov %0, %%gs\n\tswapgs" ::"r"(0));
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	task->selectors = 0;
	task->fs_base = task->gs_base = 0; /* without FSGSBASE the next switch takes them from here */
	task->own_flags |= TASK_FRAME_CHANGED;
	irq_restore(flags);
}

static void set_name(struct task *task, const char *path)
{
	const char *base = path;

	for (const char *c = path; *c; c++)
		if (*c == '/')
			base = c + 1;
	copy_string(task->name, base, sizeof(task->name));
}

static long replace_program(const char *path, const struct exec_args *args, const struct file_data *file)
{
	struct task *task = current;
	struct elf_image image;
	struct mm *mm;
	struct xsave_area *spare = NULL;
	struct sighand *sighand = NULL;
	u64 base, rsp, flags;
	long error;
	int tid = task->tid;

	if (elf_parse(file->bytes, file->size, USER_START, MMAP_TOP, &image))
		return -ENOEXEC;
	base = image.pie ? PIE_BASE : 0;
	if (base + image.end > MMAP_TOP)
		return -ENOMEM;
	mm = mm_create();
	if (!mm)
		return -ENOMEM;
	error = load(mm, file, &image, base);
	rsp = error ? 0 : build_stack(mm, path, args, &image, base);
	if (!error && !rsp)
		error = -ENOMEM;
	if (!error && !(signals_exec_prepare(&sighand) && fpu_exec_prepare(&task->fpu, image.integer_only, &spare)))
		error = -ENOMEM;
	if (!error)
		error = become_single_threaded(task->process);
	if (error) {
		fpu_exec_finish(spare);
		kfree(sighand);
		mm_put(mm);
		return error;
	}
	robust_list_exit();
	use_address_space(task, mm);
	take_over_pid(task, task->process);
	task->process->exec = false;
	task->process->execed = true;
	spare = fpu_exec(&task->fpu, image.integer_only, spare);
	flags = spin_lock_irq(&task_lock); /* who looks at all tasks' fpstates does so with it */
	task->process->xcomp_permitted = 0;
	spin_unlock_irq(&task_lock, flags);
	fpu_exec_finish(spare);
	files_exec(task->process->files);
	itimers_exec(task->process);
	signals_exec(sighand);
	task->clear_child_tid = 0;
	set_name(task, path);
	copy_string(task->process->exe, path, sizeof(task->process->exe));
	reset_registers(task, base + image.entry, rsp);
	task->process->exit_signal = SIGCHLD;
	ptrace_exec(tid);
	return 0;
}

long exec_program(const char *path, struct exec_args *args)
{
	struct file_data file;
	long error = path_executable(path, &file);

	if (!error)
		error = replace_program(path, args, &file);
	exec_args_free(args);
	return error;
}

long sys_execve(u64 user_path, u64 argv, u64 envp)
{
	struct exec_args args;
	char path[PATH_MAX], raw[PATH_MAX], directory[PATH_MAX];
	long error = string_from_user(raw, user_path, sizeof(raw));

	process_get_cwd(current->process, directory);
	if (error >= 0)
		error = path_normalise(path, directory, raw);
	if (!error && !strcmp(path, "/proc/self/exe"))
		copy_string(path, current->process->exe, sizeof(path));
	if (!error)
		error = exec_args_init(&args);
	if (error)
		return error;
	error = add_user_strings(&args, argv, &args.argc);
	if (!error)
		error = add_user_strings(&args, envp, &args.envc);
	if (error) {
		exec_args_free(&args);
		return error;
	}
	return exec_program(path, &args);
}
