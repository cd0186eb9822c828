/*
 * fuzz_calls.c - system calls with arguments that nobody means: each number there is and many that there are not,
 * pointers to everything that one may point to, sizes and flags of all kinds. Half of them go to calls that exist,
 * taken from the kernel's own table. What they do to their process is its own affair: it has successors. They may do
 * nothing to anybody else, so calls that name a task name this one or another one that throws calls.
 */
#include <fuzz.h>

#define ARENA		0x10000000ul
#define PAGES(n)	((n) * PAGE_SIZE)
#define RW		(PROT_READ | PROT_WRITE)
#define FIXED		(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define LIFE		2000		/* cases of one process: what it has mapped and opened goes with it */
#define ARGUMENTS	6
#define MAX_ERROR	133
#define ERRORS		4095

/* The arena: pages to write, nothing, one to read, nothing, one without rights. */
enum { WRITABLE_PAGES = 8, READABLE = 9, FORBIDDEN = 11 };

struct known_call {
	uint32_t number;
	const char *types;
};

#define SYSCALL(number, name, ...)	{ number, #__VA_ARGS__ },
static const struct known_call known[] = {
#include "kernel/syscalls.def"
};
#undef SYSCALL

/* Which arguments of a call are tasks: bits. */
static const struct { uint32_t number, tasks; } naming[] = {
	{ SYS_kill, 1 }, { SYS_tkill, 1 }, { SYS_tgkill, 3 }, { SYS_rt_sigqueueinfo, 1 },
	{ 297, 3 },					/* rt_tgsigqueueinfo */
	{ SYS_wait4, 1 }, { 247, 2 },			/* waitid */
	{ SYS_setpgid, 3 }, { 121, 1 }, { 124, 1 },	/* getpgid, getsid */
	{ 101, 2 }, { 310, 1 }, { 311, 1 },		/* ptrace, process_vm_readv and writev */
	{ SYS_sched_setaffinity, 1 }, { SYS_sched_getaffinity, 1 }, { SYS_get_robust_list, 1 },
	{ SYS_prlimit64, 1 }, { 434, 1 },		/* pidfd_open */
};

/* Calls that mostly end their process: seldom. */
static const uint32_t deadly[] = { SYS_rt_sigreturn, SYS_exit, SYS_exit_group, SYS_kill, SYS_tkill, SYS_tgkill,
				   SYS_execve };

static const char *const paths[] = {
	"/", "/bin", "/bin/true", "/bin/nothing", "/bin/true/x", "/dev/null", "/dev/zero", "", ".", "..",
	"/bin/../bin/true",
};
static char long_path[5000];

/* --- Arguments --- */

static uint64_t a_task(void)
{
	uint64_t other = (uint64_t)fuzz_runners[fuzz_below(fuzz_nrunners)].pid, own = (uint64_t)getpid();
	const uint64_t tasks[] = { own, own, own, other, (uint64_t)gettid(), 0, -own, 99999, 0x7fffffff, 0x80000000 };

	return FUZZ_PICK(tasks);
}

static uint64_t a_number(void)
{
	static const uint64_t numbers[] = { 0, 1, 2, 3, 7, 8, 16, 24, 63, 64, 65, 512, 4095, 4096, 4097, 8192,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1ul << 47, 1ul << 63, ~0ul, ~0ul - 1, -100ul,
		-4096ul };

	switch (fuzz_below(4)) {
	case 0: return fuzz_below(16);
	case 1: return FUZZ_PICK(numbers);
	case 2: return 1ul << fuzz_below(64) | 1ul << fuzz_below(32);
	default: return fuzz_below(2) ? fuzz_below(100000) : fuzz_random();
	}
}

static uint64_t in_arena(void)
{
	uint64_t at = ARENA + fuzz_below(PAGES(WRITABLE_PAGES));

	return fuzz_below(4) ? at & ~7ul : at;
}

static uint64_t a_pointer(void)
{
	static const uint64_t ends[] = { ARENA, PAGES(WRITABLE_PAGES) + ARENA, ARENA + PAGES(READABLE + 1),
		ARENA + PAGES(FORBIDDEN), 0x7ffffffff000, 0x800000000000, PAGE_SIZE };
	static const uint64_t strange[] = { 0, 1, 8, 0xffff800000000000, 0xffff888000000000, 0xffffc90000000000,
		0xffffffff80000000, 0xffffffff80200000, 0xffffffffffffffff, 0xfffffffffffff000, 1ul << 47,
		1ul << 62 };

	switch (fuzz_below(16)) {
	case 0: return FUZZ_PICK(strange);
	case 1: return FUZZ_PICK(ends) - fuzz_below(64);
	case 2: return ARENA + PAGES(READABLE) + fuzz_below(PAGE_SIZE);
	case 3: return ARENA + fuzz_below(16) * PAGE_SIZE;
	case 4: return (uint64_t)FUZZ_PICK(paths);
	case 5: return fuzz_below(8) ? 0 : (uint64_t)long_path;
	case 6: return fuzz_below(8) ? in_arena() : fuzz_random();
	default: return in_arena();
	}
}

static uint64_t a_size(void)
{
	static const uint64_t sizes[] = { 0, 1, 4, 8, 16, 24, 32, 128, 4096, 32768 };

	return fuzz_below(8) ? FUZZ_PICK(sizes) : a_number();
}

static uint64_t an_argument(const char *type)
{
	if (fuzz_below(16) == 0)
		return a_number();
	if (!strncmp(type, "u64", 3))
		return fuzz_below(3) ? a_pointer() : a_number();
	if (!strncmp(type, "int", 3))
		return fuzz_below(4) ? fuzz_below(10) : a_number();
	return strncmp(type, "size_t", 6) ? a_number() : a_size();
}

static const char *next_type(const char *types)
{
	const char *comma = strchr(types, ',');

	return comma ? comma + 2 : "u64";
}

static const struct known_call *find(uint64_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].number == number)
			return &known[i];
	return NULL;
}

static uint64_t a_call(void)
{
	uint64_t number;

	switch (fuzz_below(8)) {
	case 0: return fuzz_below(501);
	case 1: return TARRY_SYS_FIRST + fuzz_below(16);
	case 2: return fuzz_below(4) ? fuzz_below(501) : fuzz_random();
	default: number = FUZZ_PICK(known).number;
	}
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		if (number == deadly[i] && fuzz_below(8))
			return SYS_getpid;
	return number;
}

/* Of the debug call only what neither stops the machine nor takes its time. */
static void tame_debug(uint64_t call[ARGUMENTS + 1])
{
	static const uint64_t commands[] = { 0, TARRY_DEBUG_WAKE, TARRY_DEBUG_TENTH, TARRY_DEBUG_SECTION,
					     TARRY_DEBUG_CALL, TARRY_DEBUG_PEEK, 31, 33, 1ul << 32, ~0ul };

	call[1] = FUZZ_PICK(commands);
	if (call[1] != TARRY_DEBUG_PEEK)
		call[2] = fuzz_below(4);
}

static void name_tasks(uint64_t call[ARGUMENTS + 1])
{
	if (call[0] == TARRY_SYS_DEBUG)
		tame_debug(call);
	else if (call[0] >= TARRY_SYS_FIRST && call[0] != TARRY_SYS_STATS && call[0] != TARRY_SYS_CRYPT)
		call[1] = a_task();
	for (size_t i = 0; i < ARRAY_SIZE(naming); i++)
		for (uint32_t k = 0; naming[i].number == call[0] && k < ARGUMENTS; k++)
			if (naming[i].tasks >> k & 1)
				call[1 + k] = a_task();
}

static void make(uint64_t call[ARGUMENTS + 1])
{
	const struct known_call *c;
	const char *types;

	call[0] = a_call();
	c = find(call[0]);
	types = c ? c->types : "";
	for (int i = 1; i <= ARGUMENTS; i++, types = next_type(types))
		call[i] = an_argument(types);
	name_tasks(call);
}

/* --- A process --- */

static void woken(int signal) { (void)signal; }

static void map_arena(void)
{
	mmap((void *)ARENA, PAGES(16), PROT_NONE, FIXED, -1, 0);
	mmap((void *)ARENA, PAGES(WRITABLE_PAGES), RW, FIXED, -1, 0);
	mmap((void *)(ARENA + PAGES(READABLE)), PAGES(1), PROT_READ, FIXED, -1, 0);
	munmap((void *)(ARENA + PAGES(WRITABLE_PAGES)), PAGES(1));
	munmap((void *)(ARENA + PAGES(READABLE + 1)), PAGES(1));
}

static void open_files(void)
{
	int fds[2];

	for (int i = 0; i < 3; i++)
		close(i);
	open("/bin/true", O_RDONLY);
	open("/dev/null", O_RDWR);
	open("/dev/zero", O_RDWR);
	open("/bin", O_RDONLY | O_DIRECTORY);
	pipe(fds);
	pipe2(fds, O_NONBLOCK);
}

static void hear_nudges(void)
{
	uint64_t none = 0;

	set_handler(SIGUSR1, woken, SA_NODEFER, 0);
	syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
}

static void prepare_process(void)
{
	setpgid(0, 0);
	memset(long_path, 'x', sizeof(long_path) - 1);
	map_arena();
	open_files();
	hear_nudges();
}

/* Structures out of plausible words, somewhere in the arena. */
static void prepare_arena(void)
{
	uint64_t *at = (uint64_t *)(ARENA + (fuzz_below(PAGES(WRITABLE_PAGES) - 256) & ~7ul));

	for (int i = 0; i < 32; i++)
		at[i] = fuzz_below(2) ? a_number() : a_pointer();
}

static int makes_task(uint64_t number)
{
	return number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3;
}

/* What the call may have taken from us. */
static void recover(uint64_t number)
{
	if ((number >= SYS_mmap && number <= SYS_brk) || number == SYS_mremap || number == SYS_madvise ||
	    number == SYS_pkey_mprotect)
		map_arena();
	if (number == SYS_rt_sigaction || number == SYS_rt_sigprocmask ||
	    (number >= SYS_rt_sigtimedwait && number <= SYS_sigaltstack))
		hear_nudges();
	while (makes_task(number) && wait4(-1, NULL, WNOHANG) > 0)
		;
}

static void check(struct fuzz_runner *r, const uint64_t call[ARGUMENTS + 1], long result)
{
	r->count[result < 0 && result >= -ERRORS ? FUZZ_REFUSED : FUZZ_TAKEN]++;
	if (result < -MAX_ERROR && result >= -ERRORS)
		fuzz_finding(r, "call %ld (%lx, %lx, %lx, %lx, %lx, %lx) gave %ld", (long)call[0], call[1], call[2],
			     call[3], call[4], call[5], call[6], result);
}

/* Now and then one of its allocations fails. */
static long throw(const uint64_t call[ARGUMENTS + 1])
{
	int fails = fuzz_below(16) == 0;
	long result;

	if (fails)
		debug(TARRY_DEBUG_FAIL_ALLOC, 1 + (long)fuzz_below(8));
	result = fuzz_call(call, makes_task(call[0]));
	if (fails)
		debug(TARRY_DEBUG_FAIL_ALLOC, 0);
	return result;
}

void fuzz_calls(struct fuzz_runner *r)
{
	uint64_t call[ARGUMENTS + 1];

	prepare_process();
	for (; r->at < r->end && r->at < r->from + LIFE; r->at++) {
		fuzz_begin("call", r->at);
		prepare_arena();
		make(call);
		check(r, call, throw(call));
		recover(call[0]);
	}
	exit(r->at < r->end ? FUZZ_AGAIN : 0);
}
