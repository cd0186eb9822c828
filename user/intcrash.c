/*
 * intcrash KIND - an integer-only program that executes one vector instruction, or ENQCMD, which should be its
 * last; with "none" none, with "fork" in a child, with "exec FILE ARG..." it becomes another
 * program, with "starve N FILE ARG..." too, but the N-th allocation fails: status 1 if exec says so.
 * Status 9 means that it lived on when it should not have.
 */
#include <xstate.h>

INTEGER_ONLY_PROGRAM;

static char area[4096] __attribute__((aligned(64)));

static void x87(void) { __asm__ volatile("fld1"); }
static void wait_x87(void) { __asm__ volatile("fwait"); }
static void mmx(void) { __asm__ volatile("pxor %mm0, %mm0"); }
static void sse(void) { __asm__ volatile("xorps %xmm0, %xmm0"); }
static void avx(void) { __asm__ volatile("vxorps %ymm1, %ymm1, %ymm1"); }
static void control(void) { __asm__ volatile("stmxcsr %0" : "=m"(area)); }
static void fxsave(void) { __asm__ volatile("fxsave %0" : "=m"(area)); }
static void xsave(void) { __asm__ volatile("xsave %0" : "=m"(area) : "a"(7), "d"(0)); }
static void xrstor(void) { __asm__ volatile("xrstor %0" : : "m"(area), "a"(7), "d"(0)); }

/* It has no place for a PASID, and must not find that of whoever had the CPU before. */
static void enqcmd(void)
{
	if (pasid_bind() != -EINVAL)
		return;
	for (int i = 0; i < 20; i++)
		sched_yield();
	__asm__ volatile("enqcmd (%0), %0" : : "r"(area) : "memory");
}

static const struct {
	const char *name;
	void (*function)(void);
} kinds[] = {
	{ "x87", x87 }, { "fwait", wait_x87 }, { "mmx", mmx }, { "sse", sse }, { "avx", avx },
	{ "control", control }, { "fxsave", fxsave }, { "xsave", xsave }, { "xrstor", xrstor },
	{ "enqcmd", enqcmd },
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "none") == 0)
		return 0;
	if (strcmp(argv[1], "exec") == 0) {
		execve(argv[2], argv + 2, environ);
		return 9;
	}
	if (argc > 3 && strcmp(argv[1], "starve") == 0) {
		debug(TARRY_DEBUG_FAIL_ALLOC, atoi(argv[2]));
		return execve(argv[3], argv + 3, environ) == -ENOMEM ? 1 : 9;
	}
	if (strcmp(argv[1], "fork") == 0) {
		long pid = fork();

		if (pid == 0) {
			sse();
			exit(9);
		}
		return wait_status((int)pid);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			kinds[i].function();
	return 9;
}
