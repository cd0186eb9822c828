/*
 * paths - takes every path between the states of a register context that a program can ask for, one after the other:
 * for the book, which shows their traces. Prints what it does; checks nothing.
 */
#include <enqcmd.h>
#include <rare.h>
#include <sigcontext.h>

enum { SYS_PTRACE = 101, TRACEME = 0, GETFPREGS = 14, SETFPREGS = 15, CONT = 7, STOP = 19 };

/* The compiler may not leave it out: from here on the task has values in its SSE registers. */
static void use_registers(double value)
{
	__asm__ volatile("movsd %0, %%xmm15" : : "m"(value) : "xmm15");
}

static void on_signal(void)
{
	use_registers(2);
}

static void signals(void)
{
	set_handler(SIGUSR1, on_signal, 0, 0);
	use_registers(1);
	kill(getpid(), SIGUSR1);
}

static void kernel_section(void)
{
	static uint8_t packet[64];
	struct tarry_crypt call = { .input = (uint64_t)packet, .size = sizeof(packet), .packets = 2 };

	use_registers(3);
	crypt(&call);
}

static void component(void)
{
	static uint8_t ymm[256], old[256];
	struct tarry_update call = { .component = 2, .size = cpuid(0xd, 2).eax };

	call.value = (uint64_t)ymm;
	call.old = (uint64_t)old;
	use_registers(4);
	update(&call);
}

static void child(void)
{
	static char *const words[] = { "/bin/true", NULL };
	long pid;

	use_registers(5);
	pid = fork();
	if (!pid) {
		use_registers(6);
		execve(words[0], words, environ);
		exit(1);
	}
	wait_status(pid);
}

static void debugger(void)
{
	static uint8_t registers[512];
	long pid = fork();
	int status;

	if (!pid) {
		syscall4(SYS_PTRACE, TRACEME, 0, 0, 0);
		use_registers(7);
		kill(getpid(), STOP);
		exit(0);
	}
	wait4(pid, &status, 0);
	syscall4(SYS_PTRACE, GETFPREGS, pid, 0, registers);
	syscall4(SYS_PTRACE, SETFPREGS, pid, 0, registers);
	syscall4(SYS_PTRACE, CONT, pid, 0, 0);
	wait_status(pid);
}

static void tiles(void)
{
	static uint8_t row[TILE_BYTES] = { 1 };

	request_tiles();
	use_registers(8);
	load_tile(row);
	sleep_ms(20);
	tilerelease();
}

static void device(void)
{
	static struct tarry_completion record __attribute__((aligned(32)));
	long portal = pasid_bind();
	struct tarry_descriptor command = noop_command(&record);

	if (portal < 0)
		return;
	use_registers(9);
	enqcmd_wait((const struct tarry_portal *)portal, &command);
}

static void guest(void)
{
	struct guest_sum *sum = (struct guest_sum *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
							 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double kept = 10;
	long made;

	*sum = (struct guest_sum){ 1, 2 };
	made = make_guest(sum);
	run_guest(made, 3, &kept);
	run_guest(made, 3, &kept);
	close((int)made);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*walk)(void);
	} paths[] = { { "signal", signals }, { "kernel section", kernel_section }, { "one component", component },
		      { "child", child }, { "debugger", debugger },
		      { "tiles", tiles }, { "device", device }, { "guest", guest } };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		puts(paths[i].name);
		paths[i].walk();
		sleep_ms(20);
	}
	return 0;
}
