/*
 * amx - the tile instructions as a program sees them, whoever executes them. Catches: a wrong product, an address that
 * is computed otherwise than the CPU would, a fault that comes as another signal, at another address, or too early; a
 * load that does not go on where its page fault was; a single step that misses an instruction; memory that is reached
 * past a protection key; a configuration that should be refused.
 */
#include <xstate.h>
#include "tiles.h"

#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
enum { EXC_UNDEFINED = 6, EXC_PROTECTION = 13, EXC_PAGE_FAULT = 14, SEGV_MAPERR = 1, SEGV_ACCERR = 2, SEGV_PKUERR = 4,
       PF_WRITE = 2, PF_USER = 4, PF_FETCH = 16, PF_PKEY = 32, INSN = 5 };

static void start(void)
{
	EXPECT_EQ(ask_for_tiles(), 0);
	reset();
}

static uint8_t *pages(int n)
{
	return (uint8_t *)mmap(NULL, (size_t)n * PAGE_SIZE, RW, ANON, -1, 0);
}

/* --- Results --- */

static const struct config small = { .palette = 1, .colsb = { 20, 28, 20 }, .rows = { 3, 3, 7 } };

static void expect_product(int signed1, int signed2)
{
	for (int m = 0; m < ROWS; m++)
		for (int n = 0; n < COLSB / 4; n++) {
			int32_t sum, got;

			memcpy(&sum, &pattern[0][m][4 * n], 4);
			memcpy(&got, &stored[0][m][4 * n], 4);
			for (int i = 0; i < 28; i++) {
				int a = pattern[1][m][i], b = pattern[2][i / 4][4 * n + i % 4];

				a = signed1 ? (int8_t)a : a;
				b = signed2 ? (int8_t)b : b;
				sum = (int32_t)((uint32_t)sum + (uint32_t)(a * b));
			}
			if (got != (m < 3 && n < 5 ? sum : 0))
				FAIL("signed %d %d, row %d, column %d: %x, not %x", signed1, signed2, m, n,
				     (unsigned)got, (unsigned)sum);
		}
}

#define PRODUCT(insn, s1, s2) do {					\
	ldtilecfg(&small);						\
	TILELOAD(0, pattern[0], COLSB);					\
	TILELOAD(1, pattern[1], COLSB);					\
	TILELOAD(2, pattern[2], COLSB);					\
	__asm__ volatile(insn " %tmm2, %tmm1, %tmm0");			\
	memset(stored, 0, sizeof(stored));				\
	TILESTORE(0, stored[0], COLSB);					\
	expect_product(s1, s2);						\
} while (0)

static void byte_products(void)
{
	start();
	make_tiles(4711);
	PRODUCT("tdpbssd", 1, 1);
	PRODUCT("tdpbsud", 1, 0);
	PRODUCT("tdpbusd", 0, 1);
	PRODUCT("tdpbuud", 0, 0);
}

/* 1.5 * 2 + -3 * 0.25 twelve times, on top of 100: exact in every order. */
static void bf16_product(void)
{
	static const struct config config = { .palette = 1, .colsb = { 4, 48, 4 }, .rows = { 1, 1, 12 } };
	static uint32_t c = 0x42c80000, a[12], b[12];

	start();
	for (int i = 0; i < 12; i++) {
		a[i] = 0xc0403fc0;
		b[i] = 0x3e804000;
	}
	ldtilecfg(&config);
	TILELOAD(0, &c, 0);
	TILELOAD(1, a, 0);
	TILELOAD(2, b, 4);
	__asm__ volatile("tdpbf16ps %tmm2, %tmm1, %tmm0");
	TILESTORE(0, &c, 0);
	EXPECT_EQ(c, 0x42fe0000); /* 127 */
}

static void addresses(void)
{
	static uint8_t area[ROWS * 200 + COLSB] __attribute__((aligned(64)));
	uint64_t low = (uint64_t)area | 0xabcdefull << 40;

	start();
	for (size_t i = 0; i < sizeof(area); i++)
		area[i] = (uint8_t)(i * 7 + i / 256);
	ldtilecfg(&whole);
	__asm__ volatile("tileloadd 8(%0,%1,4), %%tmm3" : : "r"(area), "r"(50l) : "memory");
	__asm__ volatile("tilestored %%tmm3, (%0,%1,2)" : : "r"(stored[0]), "r"(32l) : "memory");
	for (int row = 0; row < ROWS; row++)
		EXPECT(!memcmp(stored[0][row], area + 8 + 200 * row, COLSB));
	__asm__ volatile("tileloadd (%0), %%tmm4" : : "r"(area + 1) : "memory"); /* no index: every row the same */
	TILESTORE(4, stored[0] + ROWS - 1, -COLSB);
	for (int row = 0; row < ROWS; row++)
		EXPECT(!memcmp(stored[0][row], area + 1, COLSB));
	__asm__ volatile("tileloadd (%k0), %%tmm5" : : "r"(low) : "memory");
	TILESTORE(5, stored[0], COLSB);
	EXPECT(!memcmp(stored[0][5], area, COLSB));
	syscall2(SYS_arch_prctl, ARCH_SET_GS, area + 64);
	__asm__ volatile("tileloadd %%gs:-64(,%0), %%tmm6" : : "r"(100l) : "memory");
	syscall2(SYS_arch_prctl, ARCH_SET_GS, 0);
	TILESTORE(6, stored[0], COLSB);
	EXPECT(!memcmp(stored[0][9], area + 900, COLSB));
}

/* --- Faults --- */

static uint8_t *expected_rip;
static void (*repair)(void);

static void on_fault(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	if (repair)
		repair();
	else
		uc->rip += INSN + (expected_rip[4] == 0x04 || expected_rip[4] == 0x14); /* a SIB byte */
}

static void catch_faults(void)
{
	start();
	repair = NULL;
	set_handler(SIGSEGV, on_fault, 0, 0);
	set_handler(SIGILL, on_fault, 0, 0);
	set_handler(SIGBUS, on_fault, 0, 0);
}

/* The instruction may fault; what came is compared. */
#define FAULTS(insn, wanted_signal, wanted_code, wanted_trap, ...) do {	\
	reset();							\
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n1:\t" insn	\
			 : "=m"(expected_rip) : __VA_ARGS__ : "rax", "memory");	\
	EXPECT_EQ(last_signal, wanted_signal);				\
	EXPECT_EQ(last_info.code, wanted_code);				\
	EXPECT_EQ(last_context.trap, wanted_trap);			\
	EXPECT_EQ(last_context.rip, (uint64_t)expected_rip);		\
} while (0)
#define REFUSED(insn, ...) FAULTS(insn, SIGILL, ILL_ILLOPN, EXC_UNDEFINED, __VA_ARGS__)

static void undefined(void)
{
	catch_faults();
	REFUSED("tilezero %%tmm0", "r"(0l)); /* not configured */
	REFUSED("tileloadd (%1,%1), %%tmm0", "d"(stored));
	ldtilecfg(&small);
	REFUSED("tilezero %%tmm3", "r"(0l)); /* no such tile */
	REFUSED("tdpbssd %%tmm0, %%tmm1, %%tmm2", "r"(0l)); /* shapes */
	REFUSED(".byte 0xc4, 0xe2, 0x7b, 0x5e, 0xc0", "r"(0l)); /* tile 0 three times */
	REFUSED(".byte 0xc4, 0xe2, 0xf8, 0x49, 0xc0", "r"(0l)); /* tilerelease with W */
	EXPECT_EQ(sttilecfg().rows[2], 7); /* nothing of it did anything */
}

static void hostile_configurations(void)
{
	static const struct { uint8_t at, value; } bad[] = {
		{ 0, 2 }, { 0, 255 }, { 2, 1 }, { 15, 1 }, { 16, 65 }, { 17, 1 }, { 16, 0 }, { 31, 255 }, { 32, 1 },
		{ 47, 1 }, { 48, 17 }, { 48, 0 }, { 55, 255 }, { 56, 1 }, { 63, 1 },
	};

	catch_faults();
	ldtilecfg(&small);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct config config = whole;

		((uint8_t *)&config)[bad[i].at] = bad[i].value;
		FAULTS("ldtilecfg (%1)", SIGSEGV, SI_KERNEL, EXC_PROTECTION, "d"(&config));
	}
	EXPECT_EQ(sttilecfg().rows[2], 7);
	FAULTS("ldtilecfg (%1)", SIGSEGV, SI_KERNEL, EXC_PROTECTION, "d"(1ul << 47));
	FAULTS("sttilecfg (%1)", SIGSEGV, SI_KERNEL, EXC_PROTECTION, "d"(0xffff7ffffffffff0));
	FAULTS("ldtilecfg (%1)", SIGSEGV, SEGV_MAPERR, EXC_PAGE_FAULT, "d"(0xffffffff80100000));
	EXPECT_EQ(last_info.address, 0xffffffff80100000);
}

static uint8_t *area, edge[8]; /* the end of the first page, as the handler finds it */

static void open_second_page(void)
{
	memcpy(edge, area + PAGE_SIZE - sizeof(edge), sizeof(edge));
	EXPECT_EQ(last_context.fpstate[CONFIG_OFFSET + offsetof(struct config, start_row)], 3);
	EXPECT_EQ(sttilecfg().palette, 0);
	mprotect(area + PAGE_SIZE, PAGE_SIZE, RW);
}

/* Row 3 crosses into a page that is not there yet; the handler sees that none of it is done, and makes it good. */
static void goes_on_after_a_fault(void)
{
	catch_faults();
	area = pages(2);
	for (size_t i = 0; i < 2 * PAGE_SIZE; i++)
		area[i] = (uint8_t)(i * 13);
	for (int write = 0; write < 2; write++) {
		uint8_t *from = area + PAGE_SIZE - 3 * COLSB - 8, before[sizeof(edge)];

		memcpy(before, area + PAGE_SIZE - sizeof(edge), sizeof(edge));
		ldtilecfg(&whole);
		TILELOAD(0, pattern[0], COLSB);
		mprotect(area + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
		repair = open_second_page;
		if (write)
			FAULTS("tilestored %%tmm0, (%1,%2)", SIGSEGV, SEGV_ACCERR, EXC_PAGE_FAULT, "d"(from), "c"(64l));
		else
			FAULTS("tileloadd (%1,%2), %%tmm0", SIGSEGV, SEGV_ACCERR, EXC_PAGE_FAULT, "d"(from), "c"(64l));
		EXPECT_EQ(calls, 1);
		EXPECT_EQ(last_info.address, (uint64_t)area + PAGE_SIZE);
		EXPECT_EQ(last_context.cr2, (uint64_t)area + PAGE_SIZE);
		EXPECT_EQ(last_context.error & (PF_USER | PF_WRITE), PF_USER | (write ? PF_WRITE : 0));
		EXPECT(!memcmp(edge, before, sizeof(edge)));
		EXPECT_EQ(sttilecfg().start_row, 0);
		TILESTORE(0, stored[0], COLSB);
		EXPECT(!memcmp(stored[0], from, sizeof(stored[0])));
	}
	munmap(area, 2 * PAGE_SIZE);
}

/* Fresh memory, memory shared with a child, and a key: as with any other instruction. */
static void memory_is_the_users(void)
{
	int key;

	catch_faults();
	ldtilecfg(&whole);
	area = pages(2);
	TILELOAD(1, area + PAGE_SIZE - 500, COLSB); /* zeroes, and nothing else happens */
	TILELOAD(0, pattern[0], COLSB);
	TILESTORE(0, area + PAGE_SIZE - 500, COLSB);
	EXPECT(!memcmp(area + PAGE_SIZE - 500, pattern[0], sizeof(pattern[0])));
	EXPECT_EQ(calls, 0);
	if (!has_pkeys())
		return;
	key = (int)pkey_alloc(0, 0);
	EXPECT_EQ(pkey_mprotect(area, 2 * PAGE_SIZE, RW, key), 0);
	wrpkru(pkru_with(rdpkru(), key, PKEY_DISABLE_WRITE));
	TILELOAD(1, area + PAGE_SIZE - 500, COLSB);
	EXPECT_EQ(calls, 0);
	FAULTS("tilestored %%tmm0, (%1,%2)", SIGSEGV, SEGV_PKUERR, EXC_PAGE_FAULT, "d"(area), "c"(64l));
	EXPECT_EQ(last_info.pkey, key);
	EXPECT_EQ(last_info.address, (uint64_t)area);
	wrpkru(pkru_with(rdpkru(), key, PKEY_DISABLE_ACCESS));
	FAULTS("tileloadd (%1,%2), %%tmm0", SIGSEGV, SEGV_PKUERR, EXC_PAGE_FAULT, "d"(area), "c"(64l));
	FAULTS("ldtilecfg (%1)", SIGSEGV, SEGV_PKUERR, EXC_PAGE_FAULT, "d"(area));
	EXPECT_EQ(last_context.error & PF_PKEY, PF_PKEY);
	wrpkru(PKRU_DEFAULT);
}

/* --- Where the instruction lies --- */

static void open_code(void)
{
	mprotect(area + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_EXEC);
}

/* tilerelease; ret */
static const uint8_t code[] = { 0xc4, 0xe2, 0x78, 0x49, 0xc0, 0xc3 };

static void code_at_the_edge(void)
{
	void (*call)(void);

	catch_faults();
	set_handler(SIGSEGV, on_fault, 0, 0);
	area = pages(2);
	memcpy(area + PAGE_SIZE - 3, code, sizeof(code));
	call = (void (*)(void))(area + PAGE_SIZE - 3);
	mprotect(area, PAGE_SIZE, PROT_READ | PROT_EXEC);
	repair = open_code;
	for (int prot = PROT_NONE; prot <= PROT_READ; prot++) {
		mprotect(area + PAGE_SIZE, PAGE_SIZE, prot);
		ldtilecfg(&whole);
		reset();
		call();
		EXPECT_EQ(calls, 1);
		EXPECT_EQ(last_signal, SIGSEGV);
		EXPECT_EQ(last_info.address, (uint64_t)area + PAGE_SIZE);
		EXPECT_EQ(last_context.rip, (uint64_t)area + PAGE_SIZE - 3);
		EXPECT_EQ(sttilecfg().palette, 0);
	}
	if (has_pkeys()) { /* a closed key does not stop execution */
		int key = (int)pkey_alloc(0, PKEY_DISABLE_ACCESS);

		reset();
		EXPECT_EQ(pkey_mprotect(area, 2 * PAGE_SIZE, PROT_READ | PROT_EXEC, key), 0);
		call();
		EXPECT_EQ(calls, 0);
	}
}

static uint64_t steps[8];

static void on_step(int signal, struct info *info, struct context *uc)
{
	(void)signal;
	(void)info;
	if (calls < 8)
		steps[calls] = uc->rip;
	calls++;
}

static void single_step(void)
{
	uint64_t first;

	start();
	set_handler(SIGTRAP, on_step, 0, 0);
	__asm__ volatile("leaq 1f(%%rip), %0\n\tpushfq\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n"
			 "1:\tldtilecfg (%1)\n\ttilerelease\n\tnop\n\tpopfq"
			 : "=&d"(first) : "c"(&whole) : "memory", "cc");
	EXPECT_EQ(calls, 4);
	EXPECT_EQ(steps[0], first + 5);
	EXPECT_EQ(steps[1], first + 10);
	EXPECT_EQ(steps[2], first + 11);
}

static void test_products(void) { IN_CHILD(byte_products); }
static void test_bf16(void) { IN_CHILD(bf16_product); }
static void test_addresses(void) { IN_CHILD(addresses); }
static void test_undefined(void) { IN_CHILD(undefined); }
static void test_hostile(void) { IN_CHILD(hostile_configurations); }
static void test_goes_on(void) { IN_CHILD(goes_on_after_a_fault); }
static void test_memory(void) { IN_CHILD(memory_is_the_users); }
static void test_code(void) { IN_CHILD(code_at_the_edge); }
static void test_step(void) { IN_CHILD(single_step); }

static const struct ktap_test tests[] = {
	{ "products of bytes", test_products },
	{ "products of bfloat16", test_bf16 },
	{ "addresses", test_addresses },
	{ "undefined forms", test_undefined },
	{ "hostile configurations", test_hostile },
	{ "goes on after a page fault", test_goes_on },
	{ "memory is the user's", test_memory },
	{ "code at the edge of a page", test_code },
	{ "single step", test_step },
};

KTAP_MAIN(tests)
