/*
 * fuzz_regsets.c - register sets written to a stopped process by its tracer: good ones, which must be there to the
 * bit when they are read back and when the process has run on, and spoilt ones, which must change nothing. The
 * process needs none of its registers, so that it can be let run with whatever it was given; if that was not even an address
 * to go on at, it stops for the fault, or there is another process.
 */
#include <fuzz.h>

#define PTRACE_O_EXITKILL	(1 << 20)
#define PTRACE_SETOPTIONS	0x4200
#define RFLAGS_NOT_OURS		0x23000ul	/* VM IOPL */
#define RW			(PROT_READ | PROT_WRITE)
#define ROOM			(4 * PAGE_SIZE)
#define LEGACY			512
#define FXSAVE_USED		464

/* Linux's struct user_regs_struct. */
enum { ORIG_RAX = 15, RIP, CS, RFLAGS, RSP, SS, FS_BASE, GS_BASE, DS, REGS = 27 };

static int tracee;
static uint64_t good_regs[REGS];
static struct fuzz_image *image, *before, *after;

static long ptrace(long request, uint64_t address, const volatile void *data)
{
	return syscall4(SYS_ptrace, request, tracee, address, data);
}

static long regset(long request, uint64_t type, const void *at, size_t size)
{
	struct iovec iov = { (void *)at, size };

	return ptrace(request, type, &iov);
}

/* True if it has stopped again. */
static int wait_for_stop(void)
{
	int status;

	if (wait4(tracee, &status, WALL) == tracee && (status & 0xff) == 0x7f)
		return 1;
	tracee = 0;
	return 0;
}

static void start_tracee(struct fuzz_runner *r)
{
	tracee = (int)fork();
	if (!tracee) {
		ptrace(PTRACE_TRACEME, 0, NULL);
		fuzz_stop_for_ever();
	}
	if (tracee < 0 || !wait_for_stop() || ptrace(PTRACE_SETOPTIONS, 0, (void *)PTRACE_O_EXITKILL) < 0 ||
	    ptrace(PTRACE_GETREGS, 0, good_regs) < 0) {
		fuzz_finding(r, "no process to trace");
		exit(1);
	}
}

static void end_tracee(void)
{
	kill(tracee, SIGKILL);
	while (tracee && wait_for_stop())
		;
}

static void read_all(struct fuzz_runner *r, struct fuzz_image *to)
{
	if (regset(PTRACE_GETREGSET, NT_X86_XSTATE, to, fuzz_format.size) < 0)
		fuzz_finding(r, "a register set can't be read");
}

/* What is not in use reads as zeroes, but for x87's control word; so the bits of XSTATE_BV decide nothing here. */
static const char *differs(const struct fuzz_image *from, uint64_t features)
{
	struct fuzz_registers found, wanted;

	fuzz_image_registers(after, &found);
	fuzz_image_registers(from, &wanted);
	return fuzz_registers_differ(&found, &wanted, features, 1);
}

static void check_unchanged(struct fuzz_runner *r, const char *when)
{
	if (memcmp(before, after, fuzz_format.size) != 0)
		fuzz_finding(r, "%s, but something has changed", when);
}

/* --- The FPU's registers --- */

static uint64_t a_size(uint64_t right)
{
	switch (fuzz_below(16)) {
	case 0: return fuzz_below(right + 64);
	case 1: return fuzz_below(right / 8) * 8;
	case 2: return right + 8 * fuzz_below(64);
	default: return right;
	}
}

/* What is too long is cut; but where tiles are modelled, which CPUID does not tell of, it may be too short for these. */
static void write_xstate(struct fuzz_runner *r)
{
	uint64_t features, size = a_size(fuzz_format.size);
	int exact = size == fuzz_format.size, whole = size >= fuzz_format.size && size % 8 == 0;
	enum fuzz_verdict verdict = fuzz_image_judge(image, 0, &features);
	long result = regset(PTRACE_SETREGSET, NT_X86_XSTATE, image, size);
	const char *wrong;

	r->count[result < 0 ? FUZZ_REFUSED : FUZZ_TAKEN]++;
	read_all(r, after);
	if (result < 0)
		check_unchanged(r, "refused");
	if (result < 0 && exact && verdict == FUZZ_TAKE)
		fuzz_finding(r, "a good register set gave %ld", result);
	if (result >= 0 && (!whole || verdict == FUZZ_REFUSE))
		fuzz_finding(r, "a register set was taken that had to be refused, size %lu", size);
	wrong = result < 0 ? NULL : differs(image, features);
	if (wrong)
		fuzz_finding(r, "taken, but %s are not what was written", wrong);
}

/* x87 and SSE; everything else must stay. */
static void write_legacy(struct fuzz_runner *r)
{
	int old = fuzz_below(2) == 0;
	uint64_t size = old ? LEGACY : a_size(LEGACY);
	int whole = size >= LEGACY && size % 8 == 0, good = !(image->mxcsr & ~fuzz_format.mxcsr_mask);
	long result = old ? ptrace(PTRACE_SETFPREGS, 0, image) : regset(PTRACE_SETREGSET, NT_PRFPREG, image, size);
	const char *wrong;

	r->count[result < 0 ? FUZZ_REFUSED : FUZZ_TAKEN]++;
	read_all(r, after);
	if (result < 0)
		check_unchanged(r, "refused");
	if ((result >= 0) != (whole && good))
		fuzz_finding(r, "x87 and SSE registers, size %lu, MXCSR %x: result %ld", size, image->mxcsr, result);
	if (result < 0)
		return;
	memcpy(before, image, FXSAVE_USED);
	wrong = differs(before, ~0ul);
	if (wrong)
		fuzz_finding(r, "x87 and SSE registers were written, but %s are wrong", wrong);
}

/* From where there is nothing, or only half of it. */
static void write_from_nowhere(struct fuzz_runner *r)
{
	static const uint64_t types[] = { NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, 0, 3, 0x203, ~0ul };
	static const uint64_t nowhere[] = { 0, 1, 0x7ffffffff000, 1ul << 47, 0xffff888000000000, 0xffffffff80000000,
					    ~7ul };
	uint64_t type = FUZZ_PICK(types), from = fuzz_below(2) ? FUZZ_PICK(nowhere) :
		(uint64_t)image + ROOM - 8 * fuzz_below(27);
	long result = fuzz_below(8) ? regset(PTRACE_SETREGSET, type, (void *)from, fuzz_format.size)
				    : ptrace(PTRACE_SETREGSET, type, (void *)FUZZ_PICK(nowhere));

	r->count[FUZZ_REFUSED]++;
	read_all(r, after);
	if (result >= 0)
		fuzz_finding(r, "a register set %lx from %lx was taken", type, from);
	check_unchanged(r, "nothing was written");
}

/* --- The general ones --- */

static void spoil_regs(uint64_t regs[REGS])
{
	static const uint64_t selectors[] = { 0, 3, 8, 0x10, 0x18, 0x1b, 0x23, 0x2b, 0x33, 0x3b, 0x43, 0xffff,
					      0x10033 };
	static const uint64_t addresses[] = { 0, 0x1000, 0x7ffffffff000, 1ul << 47, 1ul << 62, 0xffff800000000000,
					      0xffffffff80100000, ~0ul };

	switch (fuzz_below(6)) {
	case 0: regs[RIP] = FUZZ_PICK(addresses); break;
	case 1: regs[CS + 3 * fuzz_below(2)] = FUZZ_PICK(selectors); break;
	case 2: regs[DS + fuzz_below(4)] = FUZZ_PICK(selectors); break;
	case 3: regs[RFLAGS] = fuzz_random(); break;
	case 4: regs[FS_BASE + fuzz_below(2)] = FUZZ_PICK(addresses); break;
	default: regs[ORIG_RAX] = fuzz_random();
	}
	if (regs[CS] != good_regs[CS])
		regs[RIP] = (uint64_t)fuzz_trap;
}

static void check_regs(struct fuzz_runner *r, const uint64_t regs[REGS], const uint64_t old[REGS], long result)
{
	uint64_t now[REGS];

	if (ptrace(PTRACE_GETREGS, 0, now) < 0)
		fuzz_finding(r, "the general registers can't be read");
	if (result < 0 && memcmp(now, old, sizeof(now)) != 0)
		fuzz_finding(r, "general registers were refused, but some have changed");
	if (result >= 0 && (memcmp(now, regs, 15 * 8) != 0 || now[RIP] != regs[RIP] || now[RSP] != regs[RSP]))
		fuzz_finding(r, "general registers were taken, but are not what was written");
	if ((now[CS] & 3) != 3 || (now[SS] & 3) != 3 || (now[RFLAGS] ^ old[RFLAGS]) & RFLAGS_NOT_OURS)
		fuzz_finding(r, "CS is %lx, SS %lx, RFLAGS %lx", now[CS], now[SS], now[RFLAGS]);
}

static void write_regs(struct fuzz_runner *r)
{
	uint64_t regs[REGS], old[REGS];
	long result;

	memcpy(regs, good_regs, sizeof(regs));
	fuzz_fill(regs, 15 * 8);
	regs[10] = 0;				/* RAX: no system call is made again */
	regs[RSP] = fuzz_random();
	for (uint64_t n = fuzz_below(3); n; n--)
		spoil_regs(regs);
	ptrace(PTRACE_GETREGS, 0, old);
	result = fuzz_below(2) ? ptrace(PTRACE_SETREGS, 0, regs)
			       : regset(PTRACE_SETREGSET, NT_PRSTATUS, regs, sizeof(regs));
	r->count[result < 0 ? FUZZ_REFUSED : FUZZ_TAKEN]++;
	check_regs(r, regs, old, result);
	read_all(r, after);
	check_unchanged(r, "general registers were written");
}

/* --- A case --- */

/* It runs, and stops again: at its own wish, or for a fault, after which it is put back on its way. */
static void let_run(struct fuzz_runner *r)
{
	read_all(r, before);
	if (ptrace(PTRACE_CONT, 0, NULL) < 0)
		fuzz_finding(r, "the process can't go on");
	if (!wait_for_stop())
		return;
	read_all(r, after);
	if (differs(before, ~0ul))
		fuzz_finding(r, "the process has run, and %s have changed", differs(before, ~0ul));
	if (ptrace(PTRACE_SETREGS, 0, good_regs) < 0)
		fuzz_finding(r, "good general registers were refused");
}

static void throw(struct fuzz_runner *r)
{
	uint64_t how = fuzz_below(16), spoils = fuzz_below(2) ? fuzz_below(3) : 0;

	fuzz_image_make(image);
	while (spoils--)
		fuzz_image_spoil(image);
	read_all(r, before);
	if (how < 9)
		write_xstate(r);
	else if (how < 12)
		write_legacy(r);
	else if (how < 15)
		write_regs(r);
	else
		write_from_nowhere(r);
	if (fuzz_below(4) == 0)
		let_run(r);
}

static struct fuzz_image *map_image(void)
{
	char *at = (char *)mmap(NULL, ROOM + PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(at + ROOM, PAGE_SIZE);
	return (struct fuzz_image *)at;
}

void fuzz_regsets(struct fuzz_runner *r)
{
	image = map_image();
	before = map_image();
	after = map_image();
	for (; r->at < r->end; r->at++) {
		fuzz_begin("regset", r->at);
		if (!tracee)
			start_tracee(r);
		throw(r);
	}
	if (tracee)
		end_tracee();
}
