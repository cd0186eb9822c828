/*
 * ptracefp - a tracee's x87, SSE, AVX registers and PKRU through its tracer's hands, as on Linux. Catches: values read
 * or written that are not the ones the tracee has (they may be cached on another CPU, bug 27); bytes nobody wrote (19,
 * 22); a refused write that changed something (20, 21); MXCSR lost with AVX alone; PKRU that a debugger can't set, or
 * a cleared bit that isn't 0 (26, 27); another task's registers changed by all this.
 */
#include "ptrace.h"
#include "registers.h"
#include <xstate.h>

#define AVX_BIT		4ul
#define XMM_AT		160
#define BV_AT		512
#define XCOMP_AT	520
#define MXCSR_AT	24
#define SW_AT		464
#define SIZE_WITH_TILES	11008

static uint8_t image[16384] __attribute__((aligned(64))), other[16384] __attribute__((aligned(64)));
static size_t image_size;
static uint32_t avx_at, pkru_at;

static uint64_t *bv_of(uint8_t *area) { return (uint64_t *)(area + BV_AT); }

static void read_image(uint8_t *area)
{
	image_size = sizeof(image);
	memset(area, 0xa5, sizeof(image));
	EXPECT_EQ(regset(PTRACE_GETREGSET, NT_X86_XSTATE, area, &image_size), 0);
	EXPECT_EQ(area[image_size], 0xa5);
}

static long write_image(uint8_t *area)
{
	size_t size = image_size;

	return regset(PTRACE_SETREGSET, NT_X86_XSTATE, area, &size);
}

/* The registers of an image in which all components are in use. */
static void check_image(const uint8_t *area, const struct registers *r)
{
	for (int i = 0; i < 16; i++) {
		EXPECT(!memcmp(area + XMM_AT + 16 * i, r->ymm[i], 16));
		if (avx)
			EXPECT(!memcmp(area + avx_at + 16 * i, r->ymm[i] + 16, 16));
	}
	EXPECT_EQ(*(const uint32_t *)(area + MXCSR_AT), r->mxcsr);
	EXPECT_EQ(*(const uint16_t *)area, r->fcw);
}

/* All but the x87 stack, which is a number's own format. */
static void fill_image(uint8_t *area, const struct registers *r)
{
	for (int i = 0; i < 16; i++) {
		memcpy(area + XMM_AT + 16 * i, r->ymm[i], 16);
		if (avx)
			memcpy(area + avx_at + 16 * i, r->ymm[i] + 16, 16);
	}
	*(uint32_t *)(area + MXCSR_AT) = r->mxcsr;
	*(uint16_t *)area = r->fcw;
	*bv_of(area) |= 3 | (avx ? AVX_BIT : 0);
}

/* --- Read and written, wherever they are --- */

static uint32_t seed_before, seed_after;

/* Has one pattern at the call, and must have the other after it. */
static void change_of_pattern(void)
{
	struct registers after;

	make_pattern(&want, seed_before);
	make_pattern(&after, seed_after);
	memcpy(after.st, want.st, sizeof(want.st));
	keep(SYS_getppid, 1);
	want = after;
	compare(seed_after);
}

static void read_and_write(void)
{
	struct registers r;

	for (seed_before = 1; seed_before < 6; seed_before++) {
		seed_after = seed_before + 100;
		start_tracee(change_of_pattern);
		until_call(SYS_getppid);
		read_image(image);
		make_pattern(&r, seed_before);
		check_image(image, &r);
		make_pattern(&r, seed_after);
		fill_image(image, &r);
		EXPECT_EQ(write_image(image), 0);
		read_image(other);
		check_image(other, &r);
		EXPECT(!memcmp(image, other, image_size));
		expect_end();
	}
}

/*
 * The tracee stays on the last CPU, which nobody else uses: its registers are still there when its memory is read and
 * written from another one, and must not be believed afterwards. Sometimes it is moved before or after that, too. Its
 * tracer is there as soon as it has stopped, when it may not yet be off its CPU.
 */
#define ROUNDS 80
static uint64_t last_cpu(void)
{
	uint64_t mask = 0;

	syscall3(SYS_sched_getaffinity, 0, sizeof(mask), &mask);
	return mask ? 1ul << (63 - __builtin_clzl(mask)) : 1;
}

static void pattern_after_pattern(void)
{
	struct registers first;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		make_pattern(&want, i);
		first = want;
		keep(SYS_getppid, 1);
		make_pattern(&want, i + 1000);
		memcpy(want.st, first.st, sizeof(want.st));
		compare(i);
	}
}

static void cached_elsewhere(void)
{
	uint64_t far = last_cpu(), near = ONE_CPU;
	struct registers r;

	start_tracee(pattern_after_pattern);
	stay_on_cpus(near);
	eager_wait = far != near ? WNOHANG : 0;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(syscall3(SYS_sched_setaffinity, tracee, sizeof(far), i % 8 < 6 ? &far : &near), 0);
		EXPECT_EQ(go(PTRACE_SYSCALL, 0), STOPPED(SIGTRAP));
		EXPECT_EQ(go(PTRACE_SYSCALL, 0), STOPPED(SIGTRAP));
		if (i % 8 == 7)
			syscall3(SYS_sched_setaffinity, tracee, sizeof(far), &far);
		read_image(image);
		make_pattern(&r, i);
		check_image(image, &r);
		make_pattern(&r, i + 1000);
		fill_image(image, &r);
		EXPECT_EQ(write_image(image), 0);
	}
	expect_end();
	eager_wait = 0;
	stay_on_cpus(ALL_CPUS);
}

/* --- Only what somebody wrote --- */

static void all_initial(void)
{
	static const struct registers zero;

	want = zero;
	want.mxcsr = 0x1f80;
	want.fcw = 0x37f;
	default_controls();
	__asm__ volatile("fninit");
	if (avx)
		__asm__ volatile("vzeroall");
	syscall0(SYS_getppid);
}

static int all_bytes(const uint8_t *from, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (from[i] != value)
			return 0;
	return 1;
}

/* A component that is not in use has its initial bytes; gaps and reserved bytes are 0. */
static void defined_bytes(void)
{
	uint64_t xcr0 = xgetbv(0);

	syscall2(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &xcr0); /* modelled tiles are not in the real one */
	start_tracee(all_initial);
	until_call(SYS_getppid);
	read_image(image);
	EXPECT_EQ(image_size, xcr0 == xgetbv(0) ? cpuid(13, 0).ebx : SIZE_WITH_TILES);
	EXPECT_EQ(*(uint16_t *)image, 0x37f);
	EXPECT_EQ(*(uint32_t *)(image + MXCSR_AT), 0x1f80);
	EXPECT(all_bytes(image + 32, 128, 0));
	EXPECT(all_bytes(image + 416, SW_AT - 416, 0));
	EXPECT_EQ(*(uint64_t *)(image + SW_AT), xcr0);
	EXPECT(all_bytes(image + SW_AT + 8, 40, 0));
	EXPECT_EQ(*bv_of(image) & ~xcr0, 0);
	EXPECT(all_bytes(image + XCOMP_AT, 56, 0));
	if (avx)
		EXPECT(all_bytes(image + avx_at, 256, 0));
	read_image(other);
	EXPECT(!memcmp(image, other, image_size));
	expect_end();
}

static void keep_then_initial(void)
{
	make_pattern(&want, 7);
	keep(SYS_getppid, 1);
	memset(&want, 0, sizeof(want));
	want.mxcsr = 0x1f80;
	want.fcw = 0x37f;
	EXPECT_EQ(got.mxcsr, want.mxcsr);
	EXPECT_EQ(got.fcw, want.fcw);
	EXPECT(all_bytes(got.ymm[0], sizeof(got.ymm), 0));
}

/* Bits of XSTATE_BV that are cleared in a write make components initial, whatever the bytes say. */
static void cleared_bits(void)
{
	start_tracee(keep_then_initial);
	until_call(SYS_getppid);
	read_image(image);
	*bv_of(image) = *bv_of(image) & PKRU_BIT;
	EXPECT_EQ(write_image(image), 0);
	read_image(image);
	EXPECT_EQ(*bv_of(image) & 7, 0);
	EXPECT_EQ(*(uint32_t *)(image + MXCSR_AT), 0x1f80);
	EXPECT_EQ(*(uint16_t *)image, 0x37f);
	EXPECT(all_bytes(image + XMM_AT, 256, 0));
	expect_end();
}

/* MXCSR is in use with AVX alone (bug 21). */
static void only_avx(void)
{
	make_pattern(&want, 8);
	keep(SYS_getppid, 1);
	if (on_tarry()) /* Linux shows it to the tracer, and loads the initial one */
		EXPECT_EQ(got.mxcsr, 0x3f80);
	for (int i = 0; i < 16; i++) {
		EXPECT(all_bytes(got.ymm[i], 16, 0));
		EXPECT(!memcmp(got.ymm[i] + 16, want.ymm[i] + 16, 16));
	}
}

static void mxcsr_with_avx(void)
{
	if (!avx)
		SKIP("no AVX");
	start_tracee(only_avx);
	until_call(SYS_getppid);
	read_image(image);
	*bv_of(image) = (*bv_of(image) & PKRU_BIT) | AVX_BIT;
	*(uint32_t *)(image + MXCSR_AT) = 0x3f80;
	EXPECT_EQ(write_image(image), 0);
	read_image(image);
	EXPECT_EQ(*(uint32_t *)(image + MXCSR_AT), 0x3f80);
	expect_end();
}

/* --- All or nothing --- */

static void same_pattern(void)
{
	make_pattern(&want, 9);
	keep(SYS_getppid, 1);
	compare(9);
}

static void spoil(int how)
{
	switch (how) {
	case 0: *bv_of(other) |= 1ul << 62; break;
	case 1: *bv_of(other) |= 1ul << 10; break;		/* PASID, a supervisor component */
	case 2: *bv_of(other) |= 1ul << 11; break;		/* CET_U, another */
	case 3: *(uint64_t *)(other + XCOMP_AT) = 1ul << 63; break;
	case 4: *(uint64_t *)(other + XCOMP_AT) = 1; break;
	case 5: other[528] = 1; break;
	case 6: other[575] = 0x80; break;
	case 7: *(uint32_t *)(other + MXCSR_AT) = 0x80001f80; break;
	case 8: *(uint32_t *)(other + MXCSR_AT) = 0x10000; break;
	}
}
#define SPOILERS 9

/* Every byte of a refused image differs from the tracee's; none of them may get there. */
static void refused_writes(void)
{
	uint8_t *edge = (uint8_t *)mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct registers r;
	size_t size;

	munmap(edge + PAGE_SIZE, PAGE_SIZE);
	make_pattern(&r, 10);
	start_tracee(same_pattern);
	until_call(SYS_getppid);
	read_image(image);
	for (int how = 0; how < SPOILERS; how++) {
		memcpy(other, image, image_size);
		fill_image(other, &r);
		memset(other + 32, 0x33, 128);
		spoil(how);
		EXPECT_EQ(write_image(other), -EINVAL);
		if (how > 6) {
			EXPECT_EQ(ptrace(PTRACE_SETFPREGS, NULL, (uint64_t)other), -EINVAL);
			size = 512;
			EXPECT_EQ(regset(PTRACE_SETREGSET, NT_PRFPREG, other, &size), -EINVAL);
		}
	}
	memcpy(other, image, image_size);
	fill_image(other, &r);
	size = image_size - 8;
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_X86_XSTATE, other, &size), -EFAULT);
	size = 576;
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_X86_XSTATE, other, &size), -EFAULT);
	size = 504;
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_PRFPREG, other, &size), -EINVAL);
	memcpy(edge + PAGE_SIZE - 560, other, 560);	/* the end is not there */
	size = image_size;
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_X86_XSTATE, edge + PAGE_SIZE - 560, &size), -EFAULT);
	EXPECT_EQ(ptrace(PTRACE_SETFPREGS, NULL, (uint64_t)edge + PAGE_SIZE - 448), -EFAULT);
	read_image(other);
	EXPECT(!memcmp(image, other, image_size));
	expect_end();
	munmap(edge, PAGE_SIZE);
}

/* --- The legacy set leaves the rest alone --- */

static void half_changed(void)
{
	struct registers after;

	make_pattern(&want, 11);
	make_pattern(&after, 12);
	keep(SYS_getppid, 1);
	for (int i = 0; i < 16; i++)
		memcpy(want.ymm[i], after.ymm[i], 16);
	want.mxcsr = after.mxcsr;
	want.fcw = after.fcw;
	compare(12);
}

static void legacy_set(void)
{
	struct registers r;

	start_tracee(half_changed);
	until_call(SYS_getppid);
	read_image(image);
	EXPECT_EQ(ptrace(PTRACE_GETFPREGS, NULL, (uint64_t)other), 0);
	EXPECT(!memcmp(image, other, 416));
	EXPECT(all_bytes(other + 416, 96, 0));
	make_pattern(&r, 12);
	for (int i = 0; i < 16; i++)
		memcpy(other + XMM_AT + 16 * i, r.ymm[i], 16);
	*(uint32_t *)(other + MXCSR_AT) = r.mxcsr;
	*(uint16_t *)other = r.fcw;
	EXPECT_EQ(ptrace(PTRACE_SETFPREGS, NULL, (uint64_t)other), 0);
	read_image(other);
	if (avx)
		EXPECT(!memcmp(image + avx_at, other + avx_at, 256));
	expect_end();
}

/* --- Protection keys --- */

static volatile uint32_t pkru_wanted;
static char *closed;

/* Whoever changes PKRU changes what the kernel may touch for us, too. */
static void follow_pkru(void)
{
	static const uint32_t values[] = { 0, 0xfffffff0, 0x5555555c, 0 };
	int fds[2];

	pipe(fds);
	for (int i = 0; i < 4; i++) {
		wrpkru(0x55555550);
		syscall0(SYS_getppid);
		EXPECT_EQ(rdpkru(), values[i]);
		EXPECT_EQ(write(fds[1], closed, 1), values[i] >> 2 & 1 ? -EFAULT : 1);
	}
}

static void pkru_by_regset(void)
{
	static const uint32_t values[] = { 0, 0xfffffff0, 0x5555555c };
	long key = pkey_alloc(0, 0);

	if (key < 0)
		SKIP("no protection keys");
	EXPECT_EQ(key, 1);
	closed = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pkey_mprotect(closed, PAGE_SIZE, PROT_READ | PROT_WRITE, (int)key);
	start_tracee(follow_pkru);
	for (int i = 0; i < 4; i++) {
		until_call(SYS_getppid);
		read_image(image);
		EXPECT(*bv_of(image) & PKRU_BIT);
		EXPECT_EQ(*(uint32_t *)(image + pkru_at), 0x55555550);
		if (i < 3) {
			*(uint32_t *)(image + pkru_at) = values[i];
			if (!values[i])
				*bv_of(image) &= ~PKRU_BIT;
		} else {
			*bv_of(image) &= ~PKRU_BIT;	/* the bytes say something else */
		}
		EXPECT_EQ(write_image(image), 0);
		read_image(image);
		EXPECT_EQ(*(uint32_t *)(image + pkru_at), i < 3 ? values[i] : 0);
		EXPECT_EQ(!(*bv_of(image) & PKRU_BIT), !*(uint32_t *)(image + pkru_at));
		/* what the tracer may touch is its own business, and PEEK is bound by nobody's keys */
		EXPECT_EQ(ptrace(PTRACE_POKEDATA, closed, 5), 0);
	}
	expect_end();
	munmap(closed, PAGE_SIZE);
	pkey_free((int)key);
}

/* --- Nobody else's --- */

static volatile int *done;

/* A tracee that is read and stepped at each of its calls, and one beside it that has nothing to do with it. */
static void many_calls(void)
{
	make_pattern(&want, 20);
	keep(SYS_getppid, 30);
	compare(20);
}

static void bystander(void)
{
	for (uint32_t i = 30; !*done; i++) {
		make_pattern(&want, i);
		keep(-1, 2000);
		compare(i);
	}
}

static void canaries(void)
{
	long beside;
	struct user_regs regs;
	struct registers r;
	uint64_t word;

	done = (volatile int *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stay_on_cpus(ONE_CPU);
	beside = fork();
	if (beside == 0) {
		ktap_failed = 0;
		bystander();
		exit(ktap_failed != 0);
	}
	start_tracee(many_calls);
	make_pattern(&r, 20);
	for (int i = 0; i < 30; i++) {
		until_call(SYS_getppid);
		read_image(image);
		check_image(image, &r);
		if (i % 3 == 0)
			EXPECT_EQ(write_image(image), 0);
		regs = get_regs();
		EXPECT_EQ(ptrace(PTRACE_SETREGS, NULL, (uint64_t)&regs), 0);
		EXPECT_EQ(ptrace(PTRACE_PEEKDATA, (void *)regs.rsp, (uint64_t)&word), 0);
		EXPECT_EQ(ptrace(PTRACE_POKEDATA, (void *)regs.rsp, word), 0);
		EXPECT_EQ(go(PTRACE_SINGLESTEP, 0), STOPPED(SIGTRAP));
		if (i % 4 == 0)
			sched_yield();
	}
	expect_end();
	*done = 1;
	EXPECT_EQ(wait_status((int)beside), 0);
	stay_on_cpus(ALL_CPUS);
	munmap((void *)done, PAGE_SIZE);
}

/* An integer-only program has none of these sets. */
static void run_integer_only(void)
{
	char *argv[] = { "/bin/intbench", NULL };

	execve(argv[0], argv, environ);
	exit(1);
}

static void no_registers(void)
{
	size_t size = sizeof(image);

	if (!on_tarry())
		SKIP("only Tarry has integer-only programs");
	start_tracee(run_integer_only);
	EXPECT_EQ(go(PTRACE_CONT, 0), STOPPED(SIGTRAP));
	EXPECT_EQ(regset(PTRACE_GETREGSET, NT_X86_XSTATE, image, &size), -ENODEV);
	EXPECT_EQ(regset(PTRACE_SETREGSET, NT_X86_XSTATE, image, &size), -ENODEV);
	size = 512;
	EXPECT_EQ(regset(PTRACE_GETREGSET, NT_PRFPREG, image, &size), -ENODEV);
	EXPECT_EQ(ptrace(PTRACE_GETFPREGS, NULL, (uint64_t)image), -ENODEV);
	EXPECT_EQ(ptrace(PTRACE_SETFPREGS, NULL, (uint64_t)image), -ENODEV);
	EXPECT(get_regs().rip != 0);
	kill_tracee();
}

static const struct ktap_test tests[] = {
	{ "the registers are read and written", read_and_write },
	{ "registers cached on another CPU", cached_elsewhere },
	{ "initial components have their bytes, gaps are 0", defined_bytes },
	{ "cleared bits make components initial", cleared_bits },
	{ "MXCSR goes with AVX alone", mxcsr_with_avx },
	{ "a refused write changes nothing", refused_writes },
	{ "the legacy set leaves the others alone", legacy_set },
	{ "PKRU is read and written, and a cleared bit is 0", pkru_by_regset },
	{ "the tracee's and a bystander's registers stay", canaries },
	{ "an integer-only program has no such set", no_registers },
};

int main(void)
{
	detect();
	avx_at = cpuid(13, 2).ebx;
	pkru_at = cpuid(13, 9).ebx;
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
