/*
 * sigkeys - protection keys in signal frames, and frames that are refused. Catches: a frame that a closed key stops; a
 * sandbox that is open after a signal, or after one that could not be delivered; a sigreturn that was refused and has
 * changed registers or keys all the same.
 */
#include <xstate.h>
#include "signals.h"

#define ALT_SIZE	(8 * PAGE_SIZE)
#define NEED_KEYS() do { if (!has_pkeys()) SKIP("no protection keys"); } while (0)

static uint8_t alternate[ALT_SIZE] __attribute__((aligned(4096)));
static long key;
static uint32_t closed; /* PKRU that closes the key */
static volatile uint32_t pkru_inside, pkru_in_frame;

static uint32_t *pkru_of(struct context *uc)
{
	return (uint32_t *)(uc->fpstate + cpuid(13, 9).ebx);
}

/* An alternate stack with that key; back to no stack. */
static void set_stack(long stack_key)
{
	struct stack stack = { alternate, 0, 0, ALT_SIZE };

	EXPECT_EQ(pkey_mprotect((char *)alternate, ALT_SIZE, PROT_READ | PROT_WRITE, (int)stack_key), 0);
	EXPECT_EQ(syscall2(SYS_sigaltstack, &stack, NULL), 0);
}

/* In a child, which need not clean up. */
static int with_key(void (*f)(void))
{
	int status;

	key = pkey_alloc(0, 0);
	closed = PKRU_DEFAULT | 3u << (2 * key);
	status = ktap_child(f);
	pkey_free((int)key);
	return status;
}

/* --- A page behind a closed key --- */

/* Opens the page's key in the frame, so that the instruction can go on. */
static void open_key(int signal, struct info *info, struct context *uc)
{
	pkru_inside = rdpkru();
	pkru_in_frame = *pkru_of(uc);
	note(signal, info, uc);
	*pkru_of(uc) = 0;
	uc->fpstate[513] |= 2; /* bit 9 of XSTATE_BV */
}

static void fault(void)
{
	char *page = (char *)mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(pkey_mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE, (int)key), 0);
	set_handler(SIGSEGV, open_key, 0, 0);
	reset();
	wrpkru(closed);
	*(volatile char *)page = 1;
	EXPECT_EQ(rdpkru(), 0);
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(last_info.code, 4);
	EXPECT_EQ(last_info.pkey, key);
	EXPECT_EQ(last_info.address, page);
	EXPECT_EQ(pkru_inside, PKRU_DEFAULT);
	EXPECT_EQ(pkru_in_frame, closed);
}

/* The fault says which key; the handler's PKRU is the default; the frame has the program's, and decides. */
static void test_fault(void)
{
	NEED_KEYS();
	EXPECT_EQ(with_key(fault), 0);
}

/* --- A stack behind a closed key: museum entry 28. Linux can do it since 6.12. --- */

/* The handler opens all keys before it touches its stack. */
void key_stack_entry(void);
void count_call(void);
void count_call(void) { calls++; }
__asm__(".text\nkey_stack_entry: xor %eax, %eax\nxor %ecx, %ecx\nxor %edx, %edx\nwrpkru\njmp count_call\n");

static void closed_stack(void)
{
	set_stack(key);
	set_handler(SIGUSR1, (void *)key_stack_entry, SA_ONSTACK, 0);
	reset();
	wrpkru(closed);
	raise(SIGUSR1);
	EXPECT_EQ(rdpkru(), closed);
	EXPECT_EQ(calls, 1);
}

static void test_closed_stack(void)
{
	NEED_KEYS();
	if (!on_tarry())
		SKIP("not on every Linux");
	EXPECT_EQ(with_key(closed_stack), 0);
}

/* --- A signal that can't be delivered; a frame that can't be read --- */

static void look_at_keys(int signal, struct info *info, struct context *uc)
{
	(void)signal;
	(void)info;
	exit(*pkru_of(uc) == closed ? 42 : 43);
}

/* The system call is made on a stack that is not there; the fault's frame has a place. */
static void call_without_stack(long number)
{
	set_stack(0);
	set_handler(SIGUSR1, note, 0, 0);
	set_handler(SIGSEGV, look_at_keys, SA_ONSTACK, 0);
	wrpkru(closed);
	__asm__ volatile("mov $0x10000, %%esp\n\tsyscall\n\tud2"
			 : : "a"(number), "D"(getpid()), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
}

static void failed_delivery(void)
{
	call_without_stack(SYS_kill);
}

static void failed_return(void)
{
	call_without_stack(SYS_rt_sigreturn);
}

static void test_failed_delivery(void)
{
	NEED_KEYS();
	EXPECT_EQ(with_key(failed_delivery), 42 << 8);
}

static void test_failed_return(void)
{
	NEED_KEYS();
	EXPECT_EQ(with_key(failed_return), 42 << 8);
}

/* --- A frame that is refused: museum entry 13 --- */

static uint8_t in_frame[16], in_handler[16], in_fault[16];
static int spoil_how;
#define SPOILERS 6

static void spoil(struct context *uc)
{
	uint64_t *header = (uint64_t *)(uc->fpstate + 512);

	switch (spoil_how) {
	case 0: header[0] |= 1ul << 60; break;		/* a component that does not exist */
	case 1: header[0] |= 1ul << 10; break;		/* PASID: a supervisor component */
	case 2: header[1] = 1ul << 63; break;		/* compacted */
	case 3: header[2] = 1; break;			/* reserved */
	case 4: *(uint32_t *)(uc->fpstate + 24) = 0xffffffff; break; /* MXCSR */
	case 5: uc->fpstate = (uint8_t *)0x10000; break; /* nothing there */
	}
}

static void return_badly(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	memcpy(in_frame, uc->fpstate + 160 + 9 * 16, 16);
	spoil(uc);
	if (has_pkeys())
		wrpkru(closed);
	__asm__ volatile("movups %0, %%xmm9" : : "m"(in_handler));
}

/* The rest of the frame counted: this returns to the program. */
static void go_on(int signal, struct info *info, struct context *uc)
{
	note(signal, info, uc);
	memcpy(in_fault, uc->fpstate + 160 + 9 * 16, 16);
	if (has_pkeys())
		pkru_in_frame = *pkru_of(uc);
	for (int i = 0; i < 3; i++)
		sched_yield();
}

static void refused_once(void)
{
	static const uint8_t initial[16];
	uint8_t program[16], after[16];
	long result;

	memset(program, 0x11, sizeof(program));
	memset(in_handler, 0x22 + spoil_how, sizeof(in_handler));
	reset();
	__asm__ volatile("movups %2, %%xmm9\n\tsyscall\n\tmovups %%xmm9, %0"
			 : "=m"(after), "=a"(result)
			 : "m"(program), "a"((long)SYS_kill), "D"(getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "xmm9", "memory");
	EXPECT_EQ(result, 0);
	EXPECT_EQ(calls, 2);
	EXPECT(!memcmp(in_frame, program, 16));
	if (memcmp(in_fault, initial, 16) || memcmp(after, initial, 16))
		FAIL("frame %d was refused: xmm9 is %x, then %x", spoil_how, in_fault[0], after[0]);
	if (has_pkeys() && (pkru_in_frame != PKRU_DEFAULT || rdpkru() != PKRU_DEFAULT))
		FAIL("frame %d was refused: PKRU is %x, then %x", spoil_how, pkru_in_frame, rdpkru());
}

static void refused(void)
{
	set_handler(SIGUSR1, return_badly, 0, 0);
	set_handler(SIGSEGV, go_on, SA_NODEFER, 0);
	for (spoil_how = 0; spoil_how < SPOILERS; spoil_how++)
		refused_once();
}

static void test_refused(void)
{
	EXPECT_EQ(with_key(refused), 0);
}

static const struct ktap_test tests[] = {
	{ "a page behind a closed key", test_fault },
	{ "a stack behind a closed key", test_closed_stack },
	{ "a signal that can't be delivered leaves the keys alone", test_failed_delivery },
	{ "a frame that can't be read leaves the keys alone", test_failed_return },
	{ "a refused frame leaves initial registers", test_refused },
};

int main(void)
{
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
