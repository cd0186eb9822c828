/*
 * What the GDB sessions look at: a program whose registers hold known values during its system calls. Without an
 * argument a parent and its child, each with values of its own, that give the CPU to each other; then the parent asks
 * for random bytes, for which the kernel uses the registers, and the child becomes an integer-only program. With a
 * number it stays on that CPU, and uses a tile.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define TILEDATA 18

static const double doubles[2][4] = { { 1.5, -2.25, 3, 1e10 }, { -1.5, 2.25, -3, -1e10 } };
static const float floats[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* The system call with doubles in YMM3, floats in YMM15 and pi in ST0. */
static long planted_call(long number, int who, void *a, long b)
{
	register long third __asm__("rdx") = 0;
	long result;

	__asm__ volatile("vmovupd (%4), %%ymm3\n\tvmovups (%5), %%ymm15\n\tfldpi\n\tsyscall\n\tfstp %%st(0)"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "r"(doubles[who]), "r"(floats), "r"(third)
			 : "rcx", "r11", "memory");
	return result;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Tile 6, which is not on the first page of the fpstate, becomes one row of 8 bytes with a 77 in it. */
static void use_tile(void)
{
	static const struct {
		unsigned char palette, start_row, reserved[14];
		unsigned short colsb[16];
		unsigned char rows[16];
	} config = { .palette = 1, .colsb = { [6] = 8 }, .rows = { [6] = 1 } };
	static const long row = 77;

	if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILEDATA))
		return;
	__asm__ volatile("ldtilecfg %0\n\ttileloadd (%1), %%tmm6" : : "m"(config), "r"(&row), "m"(row));
}

int main(int argc, char **argv)
{
	char random[1024]; /* so many that the kernel uses the registers for them */
	int parent;

	if (argc > 1) {
		run_on(atoi(argv[1]));
		planted_call(SYS_sched_yield, 0, NULL, 0);
		use_tile();
		usleep(1000);
		return 0;
	}
	parent = fork() != 0;
	for (int i = 0; i < 3; i++)
		planted_call(SYS_sched_yield, !parent, NULL, 0);
	if (!parent) {
		execl("/bin/intcrash", "intcrash", "none", (char *)NULL);
		return 1;
	}
	planted_call(SYS_getrandom, 0, random, sizeof(random));
	wait(NULL);
	return 0;
}
