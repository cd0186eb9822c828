/*
 * ptrace_state.c - what a debugger reads and writes in a stopped child, and what the child makes of it: memory,
 * registers, register sets, the signals that wait. No process id and no address is printed.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "ptrace.h"

/* --- Memory --- */

static volatile long word = 0x1234, *gap, *none, *read_only, *common;
static const volatile long constant[2] = { 42, 43 };
extern char target[];
__asm__(".text\n.globl target\ntarget: mov $7, %eax\nret\n");

static void use_memory(void)
{
	int (*function)(void) = (int (*)(void))target;

	printf("child: %#lx %ld %d\n", word, constant[1], function());
	exit(0);
}

static void peek(const char *what, const volatile void *at)
{
	long value = 0;
	long result = request(PEEKDATA, child, (uintptr_t)at, (uintptr_t)&value);

	printf("%s: %#lx, %s\n", what, value, result_text(result));
}

static void poke(const char *what, const volatile void *at, long value)
{
	printf("poke %s: %s\n", what, result_text(request(POKEDATA, child, (uintptr_t)at, (uintptr_t)value)));
}

static void memory(void)
{
	long code;

	start(use_memory);
	peek("a variable", &word);
	poke("a variable", &word, 0x9999);
	peek("a variable", &word);
	peek("a constant", &constant[1]);
	poke("a constant", &constant[1], 4711);
	peek("it", &constant[1]);
	peek("its neighbour", &constant[0]);
	request(PEEKDATA, child, (uintptr_t)target, (uintptr_t)&code);
	poke("code", target, (code & ~0xff00l) | 0x6300);
	peek("nothing there", gap);
	poke("nothing there", gap, 1);
	peek("across its edge", (char *)gap - 4);
	poke("across its edge", (char *)gap - 4, 1);
	peek("no rights", none);
	poke("no rights", none, 5);
	peek("no rights", none);
	peek("read only", read_only);
	poke("read only", read_only, 6);
	peek("read only", read_only);
	peek("shared", common);
	poke("shared, read only", common, 7);
	peek("the last byte", (void *)0x7fffffffefff);
	peek("the kernel", (void *)0xffff888000000000);
	poke("the kernel", (void *)0xffff888000000000, 1);
	peek("not canonical", (void *)0x800000000000000);
	peek("address 0", NULL);
	printf("no place for it: %s\n", result_text(request(PEEKDATA, child, (uintptr_t)&word, 8)));
	go("uses it", CONT, 0);
	printf("here: %#lx %ld\n", word, constant[1]);
}

static void map_memory(void)
{
	char *place = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	common = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	munmap(place + 4096, 4096);
	gap = (long *)(place + 4096);
	none = (long *)(place + 2 * 4096);
	mprotect((void *)none, 4096, PROT_NONE);
	read_only = (long *)(place + 4 * 4096);
	*read_only = 99;
	mprotect((void *)read_only, 4096, PROT_READ);
}

/* --- Registers --- */

/* All general registers get known values, then a breakpoint; behind it they are what the tracer wrote. */
static volatile uint64_t seen[16];
void known_registers(void);
__asm__(".text\nknown_registers:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"mov $1, %rax\n\tmov $2, %rbx\n\tmov $3, %rcx\n\tmov $4, %rdx\n\tmov $5, %rsi\n\tmov $6, %rdi\n\tmov $7, %rbp\n\t"
	"mov $8, %r8\n\tmov $9, %r9\n\tmov $10, %r10\n\tmov $11, %r11\n\tmov $12, %r12\n\tmov $13, %r13\n\t"
	"mov $14, %r14\n\tmov $-15, %r15\n\tcmp %rax, %rax\n\tstc\n\tint3\n\t"
	"mov %rax, seen\n\tmov %rbx, seen+8\n\tmov %rcx, seen+16\n\tmov %rdx, seen+24\n\tmov %rsi, seen+32\n\t"
	"mov %rdi, seen+40\n\tmov %rbp, seen+48\n\tmov %r8, seen+56\n\tmov %r9, seen+64\n\tmov %r10, seen+72\n\t"
	"mov %r11, seen+80\n\tmov %r12, seen+88\n\tmov %r13, seen+96\n\tmov %r14, seen+104\n\tmov %r15, seen+112\n\t"
	"pushf\n\tpop %rax\n\tmov %rax, seen+120\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");

static void show_registers(void)
{
	known_registers();
	printf("child has:");
	for (int i = 0; i < 15; i++)
		printf(" %lx", seen[i]);
	printf(", flags %lx\n", seen[15]);
	exit(0);
}

static void try_regs(const char *what, size_t offset, uint64_t value)
{
	struct regs regs = get_regs(), before = regs, after;
	long set, poked;

	memcpy((char *)&regs + offset, &value, 8);
	set = set_regs(&regs);
	poked = request(POKEUSER, child, offset, value);
	after = get_regs();
	printf("%s %lx: %s, ", what, value, result_text(set));
	printf("%s, ", result_text(poked));
	if (offset == offsetof(struct regs, fs_base))
		puts(before.fs_base == after.fs_base ? "unchanged" : "changed");
	else
		printf("%lx\n", *(uint64_t *)((char *)&after + offset));
}

static void hostile_registers(void)
{
	struct regs regs = get_regs();

	try_regs("cs", offsetof(struct regs, cs), 0);
	try_regs("cs", offsetof(struct regs, cs), 0x10);
	try_regs("cs", offsetof(struct regs, cs), 0x30);
	try_regs("ss", offsetof(struct regs, ss), 0);
	try_regs("ss", offsetof(struct regs, ss), 0x18);
	try_regs("ds", offsetof(struct regs, ds), 0x10);
	try_regs("es", offsetof(struct regs, es), 0x29);
	try_regs("fs", offsetof(struct regs, fs), 8);
	try_regs("gs", offsetof(struct regs, gs), 0x2a);
	try_regs("ds", offsetof(struct regs, ds), 0x2b);
	try_regs("ds", offsetof(struct regs, ds), 0);
	try_regs("fs_base", offsetof(struct regs, fs_base), 0x7ffffffff000);
	try_regs("fs_base", offsetof(struct regs, fs_base), 1ul << 60);
	try_regs("gs_base", offsetof(struct regs, gs_base), ~0ul);
	try_regs("gs_base", offsetof(struct regs, gs_base), 0x1000);
	try_regs("flags", offsetof(struct regs, rflags), 0);
	try_regs("flags", offsetof(struct regs, rflags), 0xfffffffffffffeff);
	try_regs("flags", offsetof(struct regs, rflags), regs.rflags);
	try_regs("orig_rax", offsetof(struct regs, orig_rax), ~0ul);
	set_regs(&regs);
}

static void registers(void)
{
	struct regs regs, before;
	uint64_t value = 0xeeee;

	start(show_registers);
	go("breakpoint", CONT, 0);
	before = regs = get_regs();
	printf("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi,
	       regs.rdi, regs.rbp);
	printf("r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx\n", regs.r8, regs.r9, regs.r10, regs.r11,
	       regs.r12, regs.r13, regs.r14, regs.r15);
	printf("orig_rax %lx cs %lx ss %lx flags %lx ds %lx es %lx fs %lx gs %lx gs_base %lx\n", regs.orig_rax, regs.cs,
	       regs.ss, regs.rflags, regs.ds, regs.es, regs.fs, regs.gs, regs.gs_base);
	for (size_t i = 0; i < sizeof(regs); i += 8) {
		request(PEEKUSER, child, i, (uintptr_t)&value);
		if (value != *(uint64_t *)((char *)&regs + i))
			printf("PEEKUSER %zu differs\n", i);
	}
	ask("PEEKUSER, unaligned", PEEKUSER, 1, (uintptr_t)&value);
	ask("PEEKUSER, beyond", PEEKUSER, 928, (uintptr_t)&value);
	ask("POKEUSER, unaligned", POKEUSER, 4, 0);
	ask("POKEUSER, beyond", POKEUSER, 928, 0);
	ask("POKEUSER, between", POKEUSER, 400, 0);
	ask("PEEKUSER, a debug register", PEEKUSER, 848, (uintptr_t)&value);
	printf("%lx\n", value);
	ask("PEEKUSER, nowhere to put it", PEEKUSER, 0, 8);
	ask("GETREGS, nowhere to put them", GETREGS, 0, 8);
	ask("SETREGS, from nowhere", SETREGS, 0, 8);
	hostile_registers();
	regs = get_regs();
	regs.rax = before.rax;
	printf("unchanged: %d\n", !memcmp(&regs, &before, sizeof(regs)));
	regs.rax = 0xa1, regs.rbx = 0xa2, regs.rcx = 0xa3, regs.rdx = 0xa4, regs.rsi = 0xa5, regs.rdi = 0xa6;
	regs.rbp = 0xa7, regs.r8 = 0xa8, regs.r9 = 0xa9, regs.r10 = 0xaa, regs.r11 = 0xab, regs.r12 = 0xac;
	regs.r13 = 0xad, regs.r14 = 0xae, regs.rflags = 0x8d7;
	printf("set: %s\n", result_text(set_regs(&regs)));
	ask("one by POKEUSER", POKEUSER, offsetof(struct regs, r15), 0xaf);
	go("goes on", CONT, 0);
}

static void nothing(void)
{
}

/* A RIP where no return can go ends as a fault of the program. */
static void bad_return(const char *what, size_t offset, uint64_t value)
{
	siginfo_t info;

	start(nothing);
	ask(what, POKEUSER, offset, value);
	if (WIFSTOPPED(go("fault", CONT, 0))) {
		request(GETSIGINFO, child, 0, (uintptr_t)&info);
		printf("signal %d code %d\n", info.si_signo, info.si_code);
		end();
	}
}

/* --- Register sets --- */

static struct iovec iovec;

static long regset(long what, long type, void *base, size_t size)
{
	iovec = (struct iovec){ base, size };
	return request(what, child, (uintptr_t)type, (uintptr_t)&iovec);
}

static void try_regset(const char *what, long how, long type, size_t size)
{
	static char buffer[16384] __attribute__((aligned(64)));
	long result = regset(how, type, buffer, size);

	printf("%s: %s", what, result_text(result));
	printf(", %zu%s\n", type == NT_X86_XSTATE && iovec.iov_len > 832 ? 0 : iovec.iov_len,
	       iovec.iov_len == size ? " all" : "");
}

static void load_vectors(void)
{
	static const uint8_t value[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	uint8_t after[16];
	uint32_t mxcsr = 0x3f80, mxcsr_after;
	uint16_t fcw = 0x27f, fcw_after;

	__asm__ volatile("movups %3, %%xmm5\n\tldmxcsr %4\n\tfldcw %5\n\tint3\n\t"
			 "movups %%xmm5, %0\n\tstmxcsr %1\n\tfnstcw %2"
			 : "=m"(after), "=m"(mxcsr_after), "=m"(fcw_after) : "m"(value), "m"(mxcsr), "m"(fcw) : "xmm5");
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0\n\tfninit" : : "m"(mxcsr));
	printf("child has: xmm5 %d %d, mxcsr %x, fcw %x\n", after[0], after[15], mxcsr_after, fcw_after);
	exit(0);
}

struct fpregs {
	uint16_t fcw, fsw;
	uint8_t ftw, zero;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mask;
	uint8_t st[128], xmm[256], rest[96];
} __attribute__((aligned(64)));

static void regsets(void)
{
	static struct fpregs fp, again;
	static uint8_t xstate[16384] __attribute__((aligned(64)));
	struct regs regs = { 0 };
	size_t size;

	start(load_vectors);
	go("breakpoint", CONT, 0);
	try_regset("general", GETREGSET, NT_PRSTATUS, sizeof(struct regs));
	try_regset("general, too long", GETREGSET, NT_PRSTATUS, 1000);
	try_regset("general, short", GETREGSET, NT_PRSTATUS, 16);
	try_regset("general, odd", GETREGSET, NT_PRSTATUS, 17);
	try_regset("none", GETREGSET, NT_PRSTATUS, 0);
	try_regset("unknown", GETREGSET, 0x7777, 8);
	try_regset("unknown, write", SETREGSET, 0x7777, 8);
	try_regset("floating point", GETREGSET, NT_PRFPREG, 512);
	try_regset("floating point, long", GETREGSET, NT_PRFPREG, 1024);
	try_regset("floating point, short write", SETREGSET, NT_PRFPREG, 256);
	try_regset("extended, short", GETREGSET, NT_X86_XSTATE, 576);
	try_regset("extended, odd", GETREGSET, NT_X86_XSTATE, 577);
	try_regset("extended, short write", SETREGSET, NT_X86_XSTATE, 576);
	ask("no iovec", GETREGSET, NT_PRSTATUS, 8);
	printf("nowhere: %s\n", result_text(regset(GETREGSET, NT_PRSTATUS, (void *)8, 64)));
	regset(GETREGSET, NT_PRSTATUS, &regs, sizeof(regs));
	size = get_regs().rsp;
	printf("same: %d\n", regs.rsp == size);
	request(GETFPREGS, child, 0, (uintptr_t)&fp);
	printf("fcw %x mxcsr %x xmm5 %d %d\n", fp.fcw, fp.mxcsr, fp.xmm[80], fp.xmm[95]);
	regset(GETREGSET, NT_PRFPREG, &again, sizeof(again));
	printf("the same as a set: %d\n", !memcmp(&fp, &again, sizeof(fp)));
	regset(GETREGSET, NT_X86_XSTATE, xstate, sizeof(xstate));
	size = iovec.iov_len;
	printf("legacy part the same: %d, components there: %d\n", !memcmp(&fp, xstate, 416),
	       !!*(uint64_t *)(xstate + 464));
	again.mxcsr = 0xffffffff;
	printf("bad MXCSR: %s\n", result_text(request(SETFPREGS, child, 0, (uintptr_t)&again)));
	xstate[512 + 8] = 1;
	printf("bad XCOMP_BV: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size)));
	xstate[512 + 8] = 0;
	xstate[512 + 7] = 0x40;
	printf("bad XSTATE_BV: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size)));
	xstate[512 + 7] = 0;
	xstate[512 + 24] = 1;
	printf("bad reserved: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size)));
	printf("too short: %s\n", result_text(regset(SETREGSET, NT_X86_XSTATE, xstate, size - 8)));
	request(GETFPREGS, child, 0, (uintptr_t)&again);
	printf("unchanged: %d\n", !memcmp(&fp, &again, sizeof(fp)));
	fp.xmm[80] = 77;
	fp.mxcsr = 0x5f80;
	printf("SETFPREGS: %s\n", result_text(request(SETFPREGS, child, 0, (uintptr_t)&fp)));
	ask("SETFPREGS from nowhere", SETFPREGS, 0, 8);
	go("end", CONT, 0);
}

/* --- Signals that wait --- */

struct peek_arguments { uint64_t offset; uint32_t flags; int32_t n; };

static void show_queue(const char *what, uint64_t offset, uint32_t flags, int n)
{
	struct peek_arguments arguments = { offset, flags, n };
	siginfo_t infos[4];
	long found = request(PEEKSIGINFO, child, (uintptr_t)&arguments, (uintptr_t)infos);

	printf("%s: %s", what, result_text(found));
	for (int i = 0; i < found; i++)
		printf(", %d code %d", infos[i].si_signo, infos[i].si_code);
	printf("\n");
}

static void block_all(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGRTMAX);
	kill(getpid(), SIGRTMAX);
	raise(SIGTERM);
	syscall(SYS_getppid);
}

static void queues(void)
{
	start(block_all);
	until_call(SYS_getppid, SYSCALL);
	show_queue("process", 0, 1, 4);
	show_queue("process, from 2", 2, 1, 4);
	show_queue("process, 1", 0, 1, 1);
	show_queue("thread", 0, 0, 4);
	show_queue("beyond", 9, 1, 4);
	show_queue("none asked for", 0, 1, 0);
	show_queue("negative", 0, 1, -1);
	show_queue("bad flags", 0, 2, 4);
	ask("no arguments", PEEKSIGINFO, 8, 8);
	end();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	map_memory();
	memory();
	registers();
	bad_return("rip, not canonical", offsetof(struct regs, rip), 1ul << 62);
	bad_return("rip, the kernel", offsetof(struct regs, rip), 0xffffffff81000000);
	bad_return("cs", offsetof(struct regs, cs), 0x1003);
	bad_return("ss", offsetof(struct regs, ss), 0x1003);
	regsets();
	queues();
	return 4;
}
