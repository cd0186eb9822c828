/*
 * compute.c - floating-point programs of the usual kinds, each in a process of its own and all at once: transforms
 * with the C library's sines, planets on the x87, matrices in AVX2 with FMA, a cipher in SSE2, decimal text, and a
 * vector iteration that rounds upwards. What they print must be the same on Linux to the last bit (%a), however often they
 * were preempted, on however many CPUs, with however many others like them. A line is short, so
 * that the terminal takes it whole.
 */
#include <complex.h>
#include <fenv.h>
#include <immintrin.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE	1024
#define N	64
#define BODIES	5

static void say(const char *format, ...)
{
	char line[100];
	va_list ap;

	va_start(ap, format);
	write(1, line, vsnprintf(line, sizeof(line), format, ap));
	va_end(ap);
}

static uint64_t state = 88172645463325252;

static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static double uniform(void)
{
	return (double)(random64() >> 11) / 9007199254740992.0;
}

/* --- Fourier --- */

static void transform(double complex *x, int n, int sign)
{
	double complex even[SIZE / 2], odd[SIZE / 2];

	if (n == 1)
		return;
	for (int i = 0; i < n / 2; i++) {
		even[i] = x[2 * i];
		odd[i] = x[2 * i + 1];
	}
	transform(even, n / 2, sign);
	transform(odd, n / 2, sign);
	for (int i = 0; i < n / 2; i++) {
		double angle = sign * 2 * M_PI * i / n;
		double complex turned = (cos(angle) + I * sin(angle)) * odd[i];

		x[i] = even[i] + turned;
		x[i + n / 2] = even[i] - turned;
	}
}

static void fourier(void)
{
	static double complex x[SIZE];
	double power = 0;

	for (int i = 0; i < SIZE; i++)
		x[i] = exp(-uniform()) * pow(1 + uniform(), 0.7) + I * log1p(uniform());
	for (int round = 0; round < 6; round++) {
		transform(x, SIZE, round % 2 ? 1 : -1);
		for (int i = 0; i < SIZE; i++) {
			x[i] /= sqrt(SIZE);
			power += creal(x[i] * conj(x[i])) / SIZE;
		}
		say("fourier %d: %a %a\n", round, cimag(x[SIZE - 1 - round]), power);
	}
}

/* --- Planets, in extended precision --- */

static struct body { long double at[3], speed[3], mass; } bodies[BODIES];

static void attract(struct body *a, struct body *b, long double dt)
{
	long double d[3], square = 0.01L, pull;

	for (int k = 0; k < 3; k++) {
		d[k] = a->at[k] - b->at[k];
		square += d[k] * d[k];
	}
	pull = dt / (square * sqrtl(square));
	for (int k = 0; k < 3; k++) {
		a->speed[k] -= d[k] * b->mass * pull;
		b->speed[k] += d[k] * a->mass * pull;
	}
}

static void planets(void)
{
	for (int i = 0; i < BODIES; i++) {
		bodies[i].mass = 1 + uniform();
		for (int k = 0; k < 3; k++) {
			bodies[i].at[k] = 10 * (long double)uniform();
			bodies[i].speed[k] = (long double)uniform() / 3;
		}
	}
	for (int step = 1; step <= 8000; step++) {
		for (int i = 0; i < BODIES; i++)
			for (int j = i + 1; j < BODIES; j++)
				attract(&bodies[i], &bodies[j], 0.001L);
		for (int i = 0; i < BODIES; i++)
			for (int k = 0; k < 3; k++)
				bodies[i].at[k] += 0.001L * bodies[i].speed[k];
		if (step % 2000 == 0)
			say("planets %d: %La %.18Lg\n", step, bodies[4].at[2], bodies[2].speed[1]);
	}
}

/* --- Matrices --- */

static double a[N][N], b[N][N], c[N][N];

__attribute__((target("avx2,fma"))) static void multiply(void)
{
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j += 8) {
			__m256d low = _mm256_setzero_pd(), high = low;

			for (int k = 0; k < N; k++) {
				__m256d factor = _mm256_broadcast_sd(&a[i][k]);

				low = _mm256_fmadd_pd(factor, _mm256_loadu_pd(&b[k][j]), low);
				high = _mm256_fnmadd_pd(factor, _mm256_loadu_pd(&b[k][j + 4]), high);
			}
			_mm256_storeu_pd(&c[i][j], low);
			_mm256_storeu_pd(&c[i][j + 4], high);
		}
}

static void matrices(void)
{
	for (int i = 0; i < N * N; i++) {
		(&a[0][0])[i] = uniform() / N;
		(&b[0][0])[i] = uniform() - 0.5;
	}
	for (int round = 1; round <= 30; round++) {
		double trace = 0, largest = 0;

		multiply();
		for (int i = 0; i < N; i++)
			trace += c[i][i];
		for (int i = 0; i < N * N; i++)
			largest = fmax(largest, fabs((&c[0][0])[i]));
		for (int i = 0; i < N * N; i++)
			(&c[0][0])[i] /= largest;
		memcpy(round % 2 ? b : a, c, sizeof(c));
		if (round % 6 == 0)
			say("matrices %d: %a %a\n", round, trace, c[round][N - round]);
	}
}

/* --- A cipher: ChaCha20's rounds on four vectors --- */

typedef uint32_t v4 __attribute__((vector_size(16)));

#define TURN(x, n)	((x) << (n) | (x) >> (32 - (n)))

static void quarters(v4 x[4])
{
	x[0] += x[1]; x[3] = TURN(x[3] ^ x[0], 16);
	x[2] += x[3]; x[1] = TURN(x[1] ^ x[2], 12);
	x[0] += x[1]; x[3] = TURN(x[3] ^ x[0], 8);
	x[2] += x[3]; x[1] = TURN(x[1] ^ x[2], 7);
}

static void cipher(void)
{
	v4 key[4], x[4], sum = { 0 };

	for (int i = 0; i < 16; i++)
		key[i / 4][i % 4] = (uint32_t)random64();
	for (int block = 1; block <= 40000; block++) {
		memcpy(x, key, sizeof(x));
		for (int round = 0; round < 10; round++) {
			quarters(x);
			x[1] = __builtin_shuffle(x[1], (v4){ 1, 2, 3, 0 });
			x[2] = __builtin_shuffle(x[2], (v4){ 2, 3, 0, 1 });
			x[3] = __builtin_shuffle(x[3], (v4){ 3, 0, 1, 2 });
		}
		for (int i = 0; i < 4; i++)
			sum = TURN(sum, 5) ^ (x[i] + key[i]);
		key[3][0]++;
		if (block % 10000 == 0)
			say("cipher %d: %08x %08x %08x %08x\n", block, sum[0], sum[1], sum[2], sum[3]);
	}
}

/* --- Text: each number must come back as it was --- */

static void text(void)
{
	uint64_t hash = 0, bits;
	char buffer[64];
	int lost = 0;

	for (int i = 1; i <= 4000; i++) {
		double number, back;

		bits = random64();
		memcpy(&number, &bits, sizeof(number));
		if (!isfinite(number))
			continue;
		snprintf(buffer, sizeof(buffer), "%.17g", number);
		back = strtod(buffer, NULL);
		lost += memcmp(&back, &number, sizeof(back)) != 0;
		for (const char *p = buffer; *p; p++)
			hash = (hash ^ (uint8_t)*p) * 1099511628211;
		if (i % 1000 == 0)
			say("text %d: %016lx, %d lost, %s\n", i, hash, lost, buffer);
	}
}

/* --- A vector iteration in single precision; its control word and MXCSR are its own --- */

static void spectrum(void)
{
	static float v[N * 4], w[N * 4];
	float largest = 0;

	fesetround(FE_UPWARD);
	for (int i = 0; i < N * 4; i++)
		v[i] = 1;
	for (int round = 1; round <= 24; round++) {
		for (int i = 0; i < N * 4; i++) {
			w[i] = 0;
			for (int j = 0; j < N * 4; j++)
				w[i] += v[j] / ((i + j) * (i + j + 1) / 2 + i + 1);
		}
		largest = 0;
		for (int i = 0; i < N * 4; i++)
			largest = w[i] > largest ? w[i] : largest;
		for (int i = 0; i < N * 4; i++)
			v[i] = w[i] / largest;
		if (round % 6 == 0)
			say("spectrum %d: %a %a %d\n", round, largest, v[N], fegetround() == FE_UPWARD);
	}
}

static void (*const programs[])(void) = { fourier, planets, matrices, cipher, text, spectrum };

int main(void)
{
	int status, bad = 0;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (fork() == 0) {
			programs[i]();
			exit(0);
		}
	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}
