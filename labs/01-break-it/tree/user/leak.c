/*
 * leak - two processes that fill all YMM registers, let the other run, and look again. Status 1 if a register of
 * theirs has changed, and which; 0 if none has.
 */
#include <lib.h>

enum { REGISTERS = 16, WIDTH = 32, BYTES = REGISTERS * WIDTH, TURNS = 100 };

#define EACH(op)							\
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)			\
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD(n)		"vmovdqu " #n "*32(%[in]), %%ymm" #n "\n"
#define STORE(n)	"vmovdqu %%ymm" #n ", " #n "*32(%[out])\n"

static uint8_t in[BYTES], out[BYTES];

/* The registers have the values of `in` while others run, `turns` times; what they have then goes to `out`. */
static void hold(const uint8_t *in, uint8_t *out, uint64_t turns)
{
	__asm__ volatile(EACH(LOAD)
			 "1: movl %[yield], %%eax\n"
			 "syscall\n"
			 "decq %[turns]\n"
			 "jnz 1b\n"
			 EACH(STORE)
			 "vzeroupper\n"
			 : [turns] "+r"(turns)
			 : [in] "r"(in), [out] "r"(out), [yield] "i"(SYS_sched_yield)
			 : "rax", "rcx", "r11", "memory", "cc",
			   "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static int changed(const char *who)
{
	int count = 0;

	for (int i = 0; i < REGISTERS; i++)
		for (int half = 0; half < 2; half++) {
			int at = i * WIDTH + half * (WIDTH / 2);

			if (memcmp(in + at, out + at, WIDTH / 2) == 0)
				continue;
			printf("%s: the %s half of ymm%d has changed\n", who, half ? "upper" : "lower", i);
			count++;
		}
	return count > 0;
}

int main(void)
{
	int status = 0, mine;
	long pid = fork();

	for (int i = 0; i < BYTES; i++)
		in[i] = (uint8_t)(i * 7 + (pid ? 1 : 0x80));
	hold(in, out, TURNS);
	mine = changed(pid ? "the parent" : "the child");
	if (pid == 0)
		exit(mine);
	wait4((int)pid, &status, 0);
	return mine || status != 0;
}
