/*
 * fuzz_frames.c - signal frames thrown at rt_sigreturn: good ones, which must be taken to the bit, and ones spoilt in
 * one to three places, which must be refused with SIGSEGV and leave the registers as they were, or be taken. A frame
 * lies where it can be read, or across the end of that, or nowhere.
 */
#include <fuzz.h>

#define STAGE		0x20000000ul
#define ALTERNATE	0x30000000ul	/* far from all else: a frame may move it */
#define PAGES(n)	((n) * PAGE_SIZE)
#define RW		(PROT_READ | PROT_WRITE)
#define ALT_SIZE	PAGES(8)
#define INFO_END	432		/* of the frame, from its struct context on */
#define RFLAGS_ARITHMETIC 0xcd5ul
#define RFLAGS_NOT_OURS	0x27000ul	/* VM NT IOPL */
#define RFLAGS_TRAPS	0x40100ul	/* AC TF */
#define SI_KERNEL	0x80

/* What lies from STAGE on, in pages. */
enum { GOOD = 0, GOOD_PAGES = 8, READ_ONLY = 9, READ_ONLY_PAGES = 3, NOTHING_READ = 12, KEY = 14, KEY_PAGES = 3 };

enum where { READABLE, HALF, UNREADABLE };

struct thrown {
	struct context *context;
	struct fuzz_image *fpstate;
	enum where context_at, fpstate_at;
	struct fuzz_registers before;		/* what the registers hold when the frame is thrown */
};

static const uint64_t nowhere[] = {
	0, 8, STAGE + PAGES(NOTHING_READ), STAGE + PAGES(13), 0x7ffffffff000 - 64, 0x7ffffffff000, 0x7fffffffffc0,
	1ul << 47, 1ul << 62, 0xffff7fffffffffc0, 0xffff800000000000, 0xffff888000000000, 0xffffc90000000000,
	0xffffffff80000000, 0xffffffff80100000, 0xffffffffff600000, 0xffffffffffffffc0, 0xffffffffffffffff,
};
static const struct stack usual_stack = { (void *)ALTERNATE, 0, 0, ALT_SIZE };
static struct context template_context;
static struct fuzz_image *image;		/* a copy of what is in the frame */
static struct context context;			/* likewise */
static struct {
	int signal, code;
	uint64_t cs, ss, rflags;
	struct fuzz_registers fpu;
} caught;

/* --- Signals --- */

static void catch(int signal, struct info *info, struct context *uc)
{
	struct fuzz_registers *fpu = &caught.fpu;

	caught.signal = signal;
	caught.code = info->code;
	caught.cs = uc->cs;
	caught.ss = uc->ss;
	caught.rflags = uc->rflags;
	fuzz_image_registers((struct fuzz_image *)uc->fpstate, fpu);
	fuzz_recover();
}

static void take_template(int signal, struct info *info, struct context *uc)
{
	(void)signal;
	(void)info;
	template_context = *uc;
}

static void prepare_process(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };

	mmap((void *)STAGE, PAGES(GOOD_PAGES), RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mmap((void *)(STAGE + PAGES(READ_ONLY)), PAGES(READ_ONLY_PAGES), PROT_READ,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mmap((void *)(STAGE + PAGES(NOTHING_READ)), PAGES(1), PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mmap((void *)(STAGE + PAGES(KEY)), PAGES(KEY_PAGES), RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (fuzz_format.pkru)
		pkey_mprotect((void *)(STAGE + PAGES(KEY)), PAGES(KEY_PAGES), RW, (int)pkey_alloc(0, 0));
	mmap((void *)ALTERNATE, ALT_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	image = (struct fuzz_image *)mmap(NULL, PAGES(4), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set_handler(SIGUSR1, take_template, 0, 0);
	kill((int)getpid(), SIGUSR1);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		set_handler(faults[i], catch, SA_ONSTACK, 0);
}

/* Whatever the last frame has changed. If it said that all memory is the alternate stack, we can't leave that. */
static void prepare_case(void)
{
	uint64_t none = 0;

	if (syscall2(SYS_sigaltstack, &usual_stack, NULL) < 0)
		exit(FUZZ_AGAIN);
	syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	caught.signal = 0;
	fuzz_landed.rflags = 0;
	if (fuzz_format.pkru)
		wrpkru(0);
}

/* --- Making a frame --- */

static uint64_t anywhere(void)
{
	return fuzz_below(8) ? FUZZ_PICK(nowhere) : fuzz_random();
}

/* Below the end of an area, mostly well below; or elsewhere. */
static uint64_t place(size_t size, uint64_t align, enum where *where)
{
	static const struct { uint32_t first, pages; } areas[] = {
		{ GOOD, GOOD_PAGES }, { READ_ONLY, READ_ONLY_PAGES }, { KEY, KEY_PAGES },
	};
	uint64_t how = fuzz_below(32), area = how < 4 ? fuzz_below(3) : 0;
	uint64_t end = STAGE + PAGES(areas[area].first + areas[area].pages);

	*where = READABLE;
	if (how == 4) {
		*where = UNREADABLE;
		return anywhere();
	}
	if (how == 5) {
		*where = HALF;
		return (end - 1 - fuzz_below(size)) & ~(align - 1);
	}
	return (end - size - fuzz_below(PAGE_SIZE)) & ~(align - 1);
}

static void make_context(void)
{
	context = template_context;
	fuzz_fill(&context.r8, 16 * sizeof(context.r8));
	context.rip = (uint64_t)fuzz_landing;
	context.rflags = 0x202 | (fuzz_random() & RFLAGS_ARITHMETIC);
	context.stack = usual_stack;
	context.mask = fuzz_below(2) ? BIT_OF(SIGUSR1) : 0;
}

static void spoil_context(void)
{
	static const uint16_t selectors[] = { 0, 3, 8, 0x10, 0x18, 0x1b, 0x23, 0x28, 0x2b, 0x30, 0x33, 0x38, 0x43,
					      0xfffb };

	switch (fuzz_below(10)) {
	case 0: context.rip = anywhere(); break;
	case 1: context.cs = fuzz_below(4) ? FUZZ_PICK(selectors) : (uint16_t)fuzz_random(); break;
	case 2: context.ss = fuzz_below(4) ? FUZZ_PICK(selectors) : (uint16_t)fuzz_random(); break;
	case 3: context.rflags = fuzz_random(); break;
	case 4: context.flags = fuzz_random(); break;
	case 5: context.stack.sp = (void *)anywhere(); break;
	case 6: context.stack.size = fuzz_below(2) ? fuzz_below(8192) : fuzz_random(); break;
	case 7: context.stack.flags = (int)fuzz_random(); break;
	case 8: context.mask = fuzz_random(); break;
	default:
		*((uint8_t *)&context + fuzz_below(sizeof(context))) = (uint8_t)fuzz_random();
		context.rip = (uint64_t)fuzz_landing;
	}
	if ((context.cs | 3) == 0x23 && context.rip == (uint64_t)fuzz_landing)
		context.rip = (uint64_t)fuzz_trap;
}

/* As much of it as there is room for. */
static void put(uint64_t at, const void *from, size_t size, enum where where)
{
	uint64_t end = STAGE + PAGES(at < STAGE + PAGES(GOOD_PAGES) ? GOOD_PAGES :
				     at < STAGE + PAGES(NOTHING_READ) ? NOTHING_READ : KEY + KEY_PAGES);
	int read_only = at >= STAGE + PAGES(READ_ONLY) && at < STAGE + PAGES(NOTHING_READ);

	if (where == UNREADABLE)
		return;
	if (read_only)
		mprotect((void *)(STAGE + PAGES(READ_ONLY)), PAGES(READ_ONLY_PAGES), RW);
	memcpy((void *)at, from, size < end - at ? size : end - at);
	if (read_only)
		mprotect((void *)(STAGE + PAGES(READ_ONLY)), PAGES(READ_ONLY_PAGES), PROT_READ);
}

static void make_before(struct fuzz_registers *before)
{
	struct fuzz_image *legacy = (struct fuzz_image *)before->legacy;

	fuzz_fill(before, sizeof(*before));
	legacy->fcw = (uint16_t)((legacy->fcw & 0x1f00) | 0x7f);	/* nothing unmasked is pending */
	legacy->fsw &= 0x3800;
	legacy->mxcsr &= fuzz_format.mxcsr_mask;
	before->pkru &= ~3u;
}

static void make(struct thrown *t)
{
	uint64_t spoils = fuzz_below(4) ? 1 + fuzz_below(3) : 0, where;

	make_context();
	fuzz_image_make(image);
	while (spoils--) {
		if (fuzz_below(2))
			spoil_context();
		else
			fuzz_image_spoil(image);
	}
	where = place(fuzz_format.size + 4, 64, &t->fpstate_at);
	t->fpstate = (struct fuzz_image *)where;
	if (t->fpstate_at == READABLE && fuzz_below(32) == 0) {
		t->fpstate_at = UNREADABLE;
		where += 1 + fuzz_below(63);
	}
	put(where, image, fuzz_format.size + 4, t->fpstate_at);
	context.fpstate = fuzz_below(32) ? (uint8_t *)where : NULL;
	if (!context.fpstate)
		t->fpstate_at = READABLE;
	do {
		where = place(INFO_END, 8, &t->context_at);
	} while (where + INFO_END > (uint64_t)t->fpstate && where < (uint64_t)t->fpstate + fuzz_format.size + 4);
	t->context = (struct context *)where;
	put(where, &context, sizeof(context), t->context_at);
	make_before(&t->before);
}

/* --- What must become of it --- */

static enum fuzz_verdict worse(enum fuzz_verdict a, enum fuzz_verdict b)
{
	return a < b ? a : b;
}

static const enum fuzz_verdict of_place[] = { FUZZ_TAKE, FUZZ_DOUBT, FUZZ_REFUSE };

/* Of the FPU's part; features are what it gives. */
static enum fuzz_verdict judge_fpstate(const struct thrown *t, uint64_t *features)
{
	enum fuzz_verdict verdict;

	*features = 0;
	if (!context.fpstate)
		return FUZZ_DOUBT;		/* initial registers; which PKRU is the kernel's to say */
	verdict = fuzz_image_judge(image, 1, features);
	if (t->fpstate_at == READABLE)
		return verdict;
	*features = ~0ul;
	return of_place[t->fpstate_at];
}

/* Refused here means a fault, too, but the registers have been loaded. */
static enum fuzz_verdict judge_context(void)
{
	int code = (context.cs | 3) == 0x33, strict_ss = (context.flags & 4) != 0;

	if ((!code && (context.cs | 3) != 0x23) || (strict_ss && (context.ss | 3) != 0x2b))
		return FUZZ_REFUSE;
	if (context.rip != (uint64_t)fuzz_landing)
		return FUZZ_REFUSE;
	return !code || context.rflags & RFLAGS_TRAPS ? FUZZ_DOUBT : FUZZ_TAKE;
}

/* The signal mask and the alternate stack decide whether a fault is survived. */
static int may_die(const struct thrown *t)
{
	return t->context_at != READABLE || context.mask & ~BIT_OF(SIGUSR1) || context.stack.flags ||
	       context.stack.sp != usual_stack.sp || context.stack.size != usual_stack.size;
}

static void check_landed(struct fuzz_runner *r, uint64_t features, enum fuzz_verdict verdict)
{
	struct fuzz_registers from;
	const char *wrong;

	fuzz_image_registers(image, &from);
	wrong = fuzz_registers_differ(&fuzz_landed.fpu, &from, features, verdict == FUZZ_TAKE);
	if (wrong)
		fuzz_finding(r, "taken, but %s are not the frame's", wrong);
	if (memcmp(fuzz_landed.gpr, &context.r8, sizeof(fuzz_landed.gpr)) != 0)
		fuzz_finding(r, "taken, but the general registers are not the frame's");
	if (fuzz_landed.rflags & RFLAGS_NOT_OURS || !(fuzz_landed.rflags & 0x200))
		fuzz_finding(r, "RFLAGS are %lx", fuzz_landed.rflags);
}

/* before: the frame did not count, so that the registers are those from before it, or initial. */
static void check_caught(struct fuzz_runner *r, const struct thrown *t, uint64_t features, int before)
{
	struct fuzz_registers from;
	const char *wrong;

	fuzz_image_registers(image, &from);
	wrong = fuzz_registers_differ(&caught.fpu, before ? &t->before : &from, before ? ~0ul : features, 0);
	if (wrong)
		fuzz_finding(r, "%s, but %s are neither %s nor initial", before ? "refused" :
			     "a fault behind the frame", wrong, before ? "what they were" : "the frame's");
	if (caught.rflags & RFLAGS_NOT_OURS || !(caught.rflags & 0x200) || (caught.cs & 3) != 3 ||
	    (caught.ss & 3) != 3)
		fuzz_finding(r, "the fault's frame has RFLAGS %lx, CS %lx, SS %lx", caught.rflags, caught.cs,
			     caught.ss);
}

static void check(struct fuzz_runner *r, const struct thrown *t, int landed)
{
	uint64_t features;
	enum fuzz_verdict fpstate = judge_fpstate(t, &features), frame = of_place[t->context_at];
	enum fuzz_verdict all = worse(frame, worse(fpstate, judge_context()));

	r->count[landed ? FUZZ_TAKEN : FUZZ_REFUSED]++;
	if (landed && all == FUZZ_REFUSE)
		fuzz_finding(r, "a frame was taken that had to be refused");
	if (!landed && all == FUZZ_TAKE && !(features & PKRU_BIT && fuzz_image_pkru(image) & 3))
		fuzz_finding(r, "a good frame led to signal %d, code %d", caught.signal, caught.code);
	if (landed)
		check_landed(r, features, fpstate);
	else if (worse(frame, fpstate) == FUZZ_REFUSE)
		check_caught(r, t, 0, 1);
	else if (worse(frame, fpstate) == FUZZ_TAKE)
		check_caught(r, t, features, 0);
	if (!landed && worse(frame, fpstate) == FUZZ_REFUSE && (caught.signal != SIGSEGV || caught.code != SI_KERNEL))
		fuzz_finding(r, "a refused frame gave signal %d, code %d", caught.signal, caught.code);
}

void fuzz_frames(struct fuzz_runner *r)
{
	static struct thrown t;
	int landed;

	prepare_process();
	for (; r->at < r->end; r->at++) {
		fuzz_begin("frame", r->at);
		prepare_case();
		make(&t);
		r->may_die = (uint32_t)may_die(&t);
		landed = fuzz_throw(t.context, &t.before) == 1;
		check(r, &t, landed);
	}
}
