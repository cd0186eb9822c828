/*
 * mandelbrot [-q] - draws the Mandelbrot set, four points at a time in vector registers (AVX where
 * there is any). With -q it draws nothing and compares two computations instead: its status is
 * 0 if they agree to the last bit.
 */
#include <xstate.h>

enum { COLUMNS = 32, ROWS = 11, ROUNDS = 1200, LANES = 4 };

typedef double vector __attribute__((vector_size(8 * LANES)));
typedef long mask __attribute__((vector_size(8 * LANES)));

static unsigned char picture[2][ROWS][COLUMNS];

/* How many rounds each of the four points stays within the circle. */
#define ROUNDS_OF(x, y) ({						\
	vector a_ = (x) - (x), b_ = a_, four_ = a_ + 4.0;		\
	mask count_ = { 0 };						\
	for (int i_ = 0; i_ < ROUNDS; i_++) {				\
		vector a2_ = a_ * a_, b2_ = b_ * b_;			\
		count_ -= a2_ + b2_ < four_;				\
		b_ = 2.0 * a_ * b_ + (y);				\
		a_ = a2_ - b2_ + (x);					\
	}								\
	count_;								\
})

#define COMPUTE(out)							\
	for (int row = 0; row < ROWS; row++)				\
		for (int column = 0; column < COLUMNS; column += LANES) { \
			vector step = { 0, 1, 2, 3 };			\
			vector x = (step + column) * (3.2 / COLUMNS) - 2.3; \
			vector y = step - step + (row - ROWS / 2) * (2.2 / ROWS); \
			mask count = ROUNDS_OF(x, y);			\
									\
			for (int i = 0; i < LANES; i++)			\
				out[row][column + i] = (unsigned char)(count[i] * 255 / ROUNDS); \
		}

__attribute__((target("avx"))) static void compute_avx(unsigned char out[ROWS][COLUMNS])
{
	COMPUTE(out)
}

static void compute_sse(unsigned char out[ROWS][COLUMNS])
{
	COMPUTE(out)
}

static void compute(unsigned char out[ROWS][COLUMNS])
{
	if (cpuid(1, 0).ecx >> 28 & 1 && xgetbv(0) >> 2 & 1)
		compute_avx(out);
	else
		compute_sse(out);
}

static void draw(void)
{
	char line[COLUMNS + 1];

	for (int row = 0; row < ROWS; row++) {
		for (int column = 0; column < COLUMNS; column++) {
			int n = picture[0][row][column];

			line[column] = n == 255 ? '#' : n > 12 ? '+' : n > 4 ? ':' : n > 2 ? '.' : ' ';
		}
		line[COLUMNS] = '\0';
		printf("      %s\n", line);
	}
}

int main(int argc, char **argv)
{
	compute(picture[0]);
	if (argc > 1 && strcmp(argv[1], "-q") == 0) {
		compute(picture[1]);
		return memcmp(picture[0], picture[1], sizeof(picture[0])) != 0;
	}
	draw();
	return 0;
}
