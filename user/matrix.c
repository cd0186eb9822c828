/*
 * matrix - multiplies two matrices of whole numbers in floating point, again and again, and checks
 * each product against integer arithmetic. Status 0 if all were right.
 */
#include <lib.h>

enum { SIZE = 40, ROUNDS = 6 };

static double a[SIZE][SIZE], b[SIZE][SIZE];

static int element(int i, int j, int round)
{
	return (i * 7 + j * 13 + round * 5) % 19 - 9;
}

static int product_is_right(int round)
{
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			double sum = 0;
			int exact = 0;

			for (int k = 0; k < SIZE; k++) {
				sum += a[i][k] * b[k][j];
				exact += element(i, k, round) * element(k, j, round + 1);
			}
			if (sum != exact)
				return 0;
		}
	return 1;
}

int main(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SIZE; i++)
			for (int j = 0; j < SIZE; j++) {
				a[i][j] = element(i, j, round);
				b[i][j] = element(i, j, round + 1);
			}
		if (!product_is_right(round))
			return 1;
	}
	return 0;
}
