/*
 * migrate - a task goes from one CPU to another and back within one asm block, with other values in its registers on
 * each. Catches: a CPU that still names the task and is believed, though the values there are old.
 */
#include "labs/lab.h"

enum { ROUNDS = 40, TASKS = 4, WIDTH = 16, BYTES = 16 * WIDTH };

#define EACH(op)							\
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)			\
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_HERE(n)	"movdqu " #n "*16(%[here]), %%xmm" #n "\n"
#define LOAD_THERE(n)	"movdqu " #n "*16(%[there]), %%xmm" #n "\n"
#define STORE(n)	"movdqu %%xmm" #n ", " #n "*16(%[found])\n"
#define GO(mask)							\
	"movl %[setaffinity], %%eax\n xorl %%edi, %%edi\n movl $8, %%esi\n" \
	"leaq %[" mask "], %%rdx\n syscall\n"

static uint8_t here[BYTES], there[BYTES], found[BYTES];
static uint64_t cpu0 = 1, cpu1 = 2;

/* Leaves CPU 0 with `here` in the registers, takes `there` on CPU 1, and comes back. */
static void go_and_come_back(void)
{
	__asm__ volatile(GO("cpu0") EACH(LOAD_HERE) GO("cpu1") EACH(LOAD_THERE) GO("cpu0") EACH(STORE)
			 :
			 : [here] "r"(here), [there] "r"(there), [found] "r"(found), [cpu0] "m"(cpu0),
			   [cpu1] "m"(cpu1), [setaffinity] "i"(SYS_sched_setaffinity)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc",
			   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void make_values(int seed)
{
	memset(here, seed * 2 + 1, BYTES);
	memset(there, seed * 2 + 2, BYTES);
	for (int i = 0; i < 16; i++)
		here[i * WIDTH] = there[i * WIDTH] = (uint8_t)i;
}

static void look(void)
{
	for (int i = 0; i < 16 && !ktap_failed; i++)
		if (memcmp(found + i * WIDTH, here + i * WIDTH, WIDTH) == 0)
			FAIL("xmm%d: expected what was written on CPU 1, seen what had been left on CPU 0", i);
		else if (memcmp(found + i * WIDTH, there + i * WIDTH, WIDTH) != 0)
			FAIL("xmm%d: expected what was written on CPU 1, seen something else", i);
}

static void test_there_and_back(void)
{
	struct tarry_stats now;

	stats(&now, sizeof(now));
	if (now.cpus < 2)
		SKIP("one CPU");
	for (int i = 0; i < ROUNDS && !ktap_failed; i++) {
		make_values(i);
		go_and_come_back();
		look();
	}
}

static void test_many(void)
{
	int status;

	for (int task = 0; task < TASKS; task++)
		if (fork() == 0) {
			ktap_failed = 0;
			test_there_and_back();
			exit(ktap_failed != 0);
		}
	for (int task = 0; task < TASKS; task++) {
		wait4(-1, &status, 0);
		EXPECT_EQ(status, 0);
	}
}

static const struct ktap_test tests[] = { { "there and back", test_there_and_back }, { "many at once", test_many } };

LAB_MAIN(tests)
