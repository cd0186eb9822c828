/*
 * Start-up, from the first C function to the first user program, and the end: process 1 is the kernel
 * itself, which starts what the boot image names, collects everything that ends, and turns the machine off
 * when nothing is left.
 */
#include "fpu/fpu.h"
#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/bootinfo.h"
#include "kernel/crypto/best.h"
#include "kernel/entropy.h"
#include "kernel/errno.h"
#include "kernel/fault.h"
#include "kernel/file.h"
#include "kernel/initrd.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/packets.h"
#include "kernel/panic.h"
#include "kernel/screen.h"
#include "kernel/serial.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "kernel/traps.h"
#include "kernel/tty.h"
#include "kernel/vga.h"
#include "sched/exec.h"
#include "sched/process.h"
#include "sched/sched.h"

#define ARGV_PATH "/etc/argv"
#define MAX_COPIES 64
#define CANNOT_START 127

void enter_user(struct regs *regs) __attribute__((noreturn));
extern char boot_stack_top[];

static struct task boot_task = { .name = "idle", .state = TASK_RUNNING };

/* The first program's arguments from the boot image, and its environment. The path is the first argument. */
static long first_program_args(struct exec_args *args, char *path)
{
	static const char *const environment[] = { "PATH=/bin:/test", "HOME=/", "TERM=linux" };
	struct file_data data;
	u64 at = 0;

	if (path_data(ARGV_PATH, &data) || !data.size || data.bytes[data.size - 1])
		panic("boot image without a usable " ARGV_PATH);
	copy_string(path, (const char *)data.bytes, PATH_MAX);
	for (; at < data.size; at += strlen((const char *)data.bytes + at) + 1, args->argc++)
		if (exec_args_add(args, (const char *)data.bytes + at))
			return -E2BIG;
	for (; args->envc < ARRAY_SIZE(environment); args->envc++)
		if (exec_args_add(args, environment[args->envc]))
			return -E2BIG;
	return 0;
}

/* Runs as the first task of a new process: becomes the first program. */
static void start_program(void *arg)
{
	struct exec_args args;
	char path[PATH_MAX];
	long error = exec_args_init(&args);

	(void)arg;
	if (!error)
		error = first_program_args(&args, path);
	if (!error)
		error = exec_program(path, &args);
	if (error) {
		klog("cannot start %s: error %ld%s", path, -error, error == -ENOEXEC ? " (not a static x86-64 program)" : "");
		sys_exit_group(CANNOT_START);
	}
	boot_finished();
	enter_user(task_regs(current));
}

static struct files *first_files(void)
{
	struct files *files = files_create();

	for (int fd = 0; files && fd < 3; fd++)
		files->file[fd] = tty_open(fd == 2 ? TTY_STDERR : TTY_CONSOLE);
	if (files)
		files->end = 3;
	return files;
}

static int start_process(void)
{
	struct process *process = process_create(&kernel_process);
	struct task *task = task_reserve(MAX_TASKS) ? task_alloc("first") : NULL;
	u64 flags;

	if (!process || !task || !fpu_create(&task->fpu, false) || !(process->files = first_files()))
		panic("no memory for the first program");
	flags = spin_lock_irq(&task_lock);
	process_add_task(process, task);
	spin_unlock_irq(&task_lock, flags);
	task_set_kthread_entry(task, start_program, NULL);
	task_wake(task);
	return process->pid;
}

/* Exit status as a shell shows it. */
static int shell_status(int status)
{
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

/* Process 1's only thread. */
static void run_programs(void *arg)
{
	u64 copies = boot_number("copies", 1);
	int first[MAX_COPIES], result = 0, status;
	long pid;

	(void)arg;
	copies = MAX(MIN(copies, MAX_COPIES), 1);
	for (u64 i = 0; i < copies; i++)
		first[i] = start_process();
	for (;;) {
		u64 flags = spin_lock_irq(&task_lock);

		pid = process_reap(&kernel_process, &status);
		spin_unlock_irq(&task_lock, flags);
		if (pid == -ECHILD)
			break;
		if (!pid)
			wait_event(&kernel_process.child_exit, process_has_zombie(&kernel_process));
		for (u64 i = 0; pid && i < copies; i++)
			if (first[i] == pid && !result)
				result = shell_status(status);
	}
	trace_finish();
	screen_give_back();
	power_off(result);
}

static void log_machine(void)
{
	char name[64];

	cpu_describe(name, sizeof(name));
	klog("Tarry on %s, %lu MB, %lu pages free", name, ram_end() >> 20, pages_free());
	klog("cpu:%s%s%s%s", cpu_features.smep ? " SMEP" : "", cpu_features.smap ? " SMAP" : "",
	     cpu_features.umip ? " UMIP" : "", cpu_features.fsgsbase ? " FSGSBASE" : "");
}

void kmain(u32 magic, u32 info);
void kmain(u32 magic, u32 info)
{
	wrmsr(MSR_GS_BASE, (u64)&boot_cpu);
	boot_task.kstack = (u64)boot_stack_top;
	boot_cpu.idle = boot_cpu.current_task = &boot_task;
	serial_init();
	if (!bootinfo_parse(magic, info))
		panic("not started by a Multiboot 2 boot loader (magic %x)", magic);
	if (boot_option_is("log", "com2"))
		log_leave_console();
	else
		vga_init();
	trap_init();
	cpu_init(&boot_cpu);
	page_init();
	paging_init();
	fpu_init();
	crypto_init();
	entropy_init();
	acpi_init();
	apic_init();
	apic_init_cpu();
	time_init();
	log_machine();
	bootinfo_check_options();
	initrd_init();
	fault_init();
	sched_open_cpu();
	process_init();
	smp_init();
	tty_init();
	trace_init();
	screen_init();
	packets_init();
	if (!kthread_create("init", run_programs, NULL))
		panic("no memory for the first task");
	time_init_cpu();
	idle_loop();
}
