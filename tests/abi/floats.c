/*
 * floats.c - floating point whose output must be the same bit for bit: %a prints every bit. Two
 * processes compute at once, so that a register lost in a switch shows. No x87 function that
 * emulators round differently.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 24

static volatile double inputs[] = { 0.0,     -0.0,    1.0,	  -1.5,		0.1,
				    1e-310,  1e300,   12345.678,  0.9999999999, M_PI,
				    DBL_MIN, DBL_MAX, DBL_EPSILON };

static void functions(void)
{
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		double x = inputs[i], a = fabs(x);

		printf("%a: %a %a %a %a\n", x, sqrt(a), x * x, x / 3, x + 1);
		printf(" %a %a %a %a\n", floor(x), ceil(x), trunc(x), rint(x));
		printf(" %a %a %a\n", fma(x, x, 1), fmod(x, 0.7), ldexp(x, 3));
		if (a < 1e4)
			printf(" %a %a %a %a\n", sin(x), cos(x), atan(x), exp(-a));
		if (a > 1e-300)
			printf(" %a %a %a\n", log(a), cbrt(x), pow(a, 0.3));
		printf(" %a %a %a\n", (double)sqrtf((float)a), (double)((float)x * 1.1f),
		       (double)(float)x);
	}
}

static void extended(void)
{
	long double x = 1.0L / 3, sum = 0;

	for (int i = 1; i < 2000; i++)
		sum += x / i * (i % 2 ? 1 : -1);
	printf("%La %.20Lg %La\n", sum, sum, sqrtl(2.0L + sum));
}

static void special(void)
{
	volatile double zero = 0, inf = 1 / zero, nan = zero / zero;

	printf("%f %f %d %d %d\n", inf, -inf, nan != nan, isnan(nan) != 0, nan < inf);
	printf("%d %d %d\n", signbit(-zero) != 0, fpclassify(1e-310) == FP_SUBNORMAL,
	       inf > DBL_MAX);
	printf("%d %d %ld\n", (int)-1.9, (int)1.9, lrint(2.5));
}

static void rounding(void)
{
	static const int modes[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
	volatile double one = 1, three = 3;
	volatile long double lone = 1, lthree = 3;

	for (int i = 0; i < 4; i++) {
		fesetround(modes[i]);
		printf("mode %d: %a %a %La %g\n", fegetround() == modes[i], one / three,
		       -one / three, lone / lthree, rint(2.5));
	}
	fesetround(FE_TONEAREST);
}

static void exceptions(void)
{
	volatile double zero = 0, x;

	feclearexcept(FE_ALL_EXCEPT);
	x = 1 / zero;
	printf("flags: %d", fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
	feclearexcept(FE_ALL_EXCEPT);
	x = DBL_MAX * 2;
	printf(" %d", fetestexcept(FE_ALL_EXCEPT) == (FE_OVERFLOW | FE_INEXACT));
	feclearexcept(FE_ALL_EXCEPT);
	x = zero / zero;
	printf(" %d %d\n", fetestexcept(FE_ALL_EXCEPT) == FE_INVALID, x != x);
}

static void text(void)
{
	static const char *const texts[] = {
		"0.1",	   "1e23", "2.2250738585072014e-308",	     "0x1.8p-3",
		"-1e-400", "inf",  "123456789012345678901234567890", "4.9e-324"
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		printf("%s %a %.17g %e %.3f %G\n", texts[i], strtod(texts[i], NULL), atof(texts[i]),
		       atof(texts[i]), fmod(atof(texts[i]), 1000), atof(texts[i]));
}

static void matrix(void)
{
	static double a[N][N], b[N][N], c[N][N];
	double trace = 0;

	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			a[i][j] = 1.0 / (i + j + 1);
			b[i][j] = (i == j) + 0.01 * i;
		}
	for (int round = 0; round < 40; round++) {
		memset(c, 0, sizeof(c));
		for (int i = 0; i < N; i++)
			for (int k = 0; k < N; k++)
				for (int j = 0; j < N; j++)
					c[i][j] += a[i][k] * b[k][j];
		memcpy(a, c, sizeof(a));
		for (int i = 0; i < N; i++)
			a[i][i] /= 1.0 + fabs(a[i][i]);
	}
	for (int i = 0; i < N; i++)
		trace += a[i][i];
	printf("trace %a\n", trace);
}

static void chaos(double x)
{
	float f = (float)x;
	long double l = x;

	for (int i = 0; i < 1000000; i++) {
		x = 3.999 * x * (1 - x);
		f = 3.97f * f * (1 - f);
		l = 3.98L * l * (1 - l);
	}
	printf("chaos %a %a %La\n", x, (double)f, l);
	fflush(stdout);
}

/* Parent and child compute at once, in different rounding modes; the child's line comes by
 * a pipe. */
static void both_at_once(void)
{
	int ends[2];
	pid_t pid;
	char line[200];
	long n;

	pipe(ends);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(ends[1], 1);
		fesetround(FE_UPWARD);
		chaos(0.7);
		_exit(0);
	}
	close(ends[1]);
	chaos(0.3);
	while ((n = read(ends[0], line, sizeof(line))) > 0)
		printf("%.*s", (int)n, line);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	functions();
	extended();
	special();
	rounding();
	exceptions();
	text();
	matrix();
	both_at_once();
	return 0;
}
