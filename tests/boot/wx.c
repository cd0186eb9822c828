/*
 * wx - nothing is both writable and executable. Catches: a missing NX bit on data, stack,
 * heap or anonymous memory, text that can be written, a kernel mapping that breaks the
 * rule, and mprotect that does not make code executable when it is asked to.
 */
#include "ktap.h"

static char data_code[16] = { (char)0xc3 };		/* ret */
static char bss_code[16];
static const char const_code[16] = { (char)0xc3 };
static char *code;

static void jump(void)
{
	((void (*)(void))code)();
}

static void expect_no_execute(const char *name, const char *p)
{
	int status;

	code = (char *)p;
	status = ktap_child(jump);
	if (status != SIGSEGV)
		FAIL("%s: status 0x%x", name, (unsigned int)status);
}

static char *page(int prot)
{
	return (char *)mmap(NULL, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void test_no_execute(void)
{
	char stack_code[16] = { (char)0xc3 };
	char *heap = malloc(16), *anonymous = page(PROT_READ | PROT_WRITE);

	bss_code[0] = *heap = *anonymous = (char)0xc3;
	__asm__ volatile("" : : "r"(stack_code) : "memory");
	expect_no_execute("data", data_code);
	expect_no_execute("bss", bss_code);
	expect_no_execute("constants", const_code);
	expect_no_execute("stack", stack_code);
	expect_no_execute("heap", heap);
	expect_no_execute("anonymous", anonymous);
	EXPECT_EQ(mprotect(anonymous, PAGE_SIZE, PROT_READ), 0);
	expect_no_execute("read-only", anonymous);
	munmap(anonymous, PAGE_SIZE);
	free(heap);
}

static void write_text(void) { *(volatile char *)(uintptr_t)write_text = 0; }
static void write_const(void) { *(volatile char *)(uintptr_t)const_code = 0; }
static void write_code(void) { *(volatile char *)code = 0; }

static void test_read_only(void)
{
	EXPECT_EQ(ktap_child(write_text), SIGSEGV);
	EXPECT_EQ(ktap_child(write_const), SIGSEGV);
}

/* What a just-in-time compiler does: write, then execute, never both. */
static void test_write_then_execute(void)
{
	code = page(PROT_READ | PROT_WRITE);
	*code = (char)0xc3;
	EXPECT_EQ(mprotect(code, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	EXPECT_EQ(ktap_child(jump), 0);
	EXPECT_EQ(ktap_child(write_code), SIGSEGV);
	EXPECT_EQ(mprotect(code, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	EXPECT_EQ(ktap_child(jump), SIGSEGV);
	munmap(code, PAGE_SIZE);
}

static void test_page_tables(void)
{
	if (!debug_allowed())
		SKIP("no debug calls");
	EXPECT_EQ(debug(TARRY_DEBUG_CHECK_WX, 0), 0);
	page(PROT_READ | PROT_WRITE)[0] = 1;
	EXPECT_EQ(debug(TARRY_DEBUG_CHECK_WX, 0), 0);
}

static const struct ktap_test tests[] = {
	{ "data is not executable", test_no_execute }, { "text is not writable", test_read_only },
	{ "write, then execute", test_write_then_execute },
	{ "no page table entry is both", test_page_tables },
};

KTAP_MAIN(tests)
