/*
 * Single-precision a * b + c in integers, as the tile instructions compute it: denormals count as zero and become
 * zero, one rounding to nearest even, no flags, no traps, MXCSR unseen (manual, volume 2, TDPBF16PS). The kernel has
 * no floating point of its own to do it with.
 */
#include "fpu/amx.h"

#define SIGN 0x80000000u
#define INFINITE 0x7f800000u
#define QUIET 0x00400000u
#define DEFAULT_NAN 0xffc00000u
#define ONE 0x3f800000u
#define FRACTION 0x007fffffu
#define HIDDEN 0x00800000u
#define BIAS 127
#define FRACTION_BITS 23
#define MAX_EXPONENT 255
#define SPARE 39 /* bits below a 24-bit significand that is moved to the top of 63 */

/* value * 2^exponent; 0 has no exponent. */
struct number {
	bool negative;
	int exponent;
	u64 value;
};

static bool is_nan(u32 f)
{
	return (f & ~SIGN) > INFINITE;
}

static bool is_infinite(u32 f)
{
	return (f & ~SIGN) == INFINITE;
}

/* Denormals are zero. */
static bool is_zero(u32 f)
{
	return !(f & INFINITE);
}

static struct number take_apart(u32 f)
{
	return (struct number){
		.negative = f & SIGN,
		.exponent = (int)((f & INFINITE) >> FRACTION_BITS) - BIAS - FRACTION_BITS,
		.value = is_zero(f) ? 0 : (f & FRACTION) | HIDDEN,
	};
}

/* Bits that are shifted out leave a mark in the lowest one. */
static u64 shift_right(u64 value, int n)
{
	if (n >= 63)
		return value != 0;
	return value >> n | ((value & ((1ul << n) - 1)) != 0);
}

/* Moves the highest bit to bit 62, so that a sum has a place for its carry. Not for 0. */
static void normalise(struct number *x)
{
	int shift = __builtin_clzl(x->value) - 1;

	x->value = shift < 0 ? shift_right(x->value, 1) : x->value << shift;
	x->exponent -= shift;
}

/*
 * Rounds to 24 bits. Tiny is what would be below the smallest normal number after rounding with an exponent without
 * limits: it becomes 0.
 */
static u32 round_to_f32(struct number x)
{
	u64 rest, half = 1ul << (SPARE - 1);
	int exponent;

	normalise(&x);
	rest = x.value & ((1ul << SPARE) - 1);
	x.value >>= SPARE;
	x.value += rest > half || (rest == half && x.value & 1);
	if (x.value >> (FRACTION_BITS + 1)) {
		x.value >>= 1;
		x.exponent++;
	}
	exponent = x.exponent + SPARE + BIAS + FRACTION_BITS;
	if (exponent <= 0)
		return x.negative ? SIGN : 0;
	if (exponent >= MAX_EXPONENT)
		return (x.negative ? SIGN : 0) | INFINITE;
	return (x.negative ? SIGN : 0) | (u32)exponent << FRACTION_BITS | ((u32)x.value & FRACTION);
}

/* Neither is 0. An exact difference of 0 is +0. */
static u32 add(struct number x, struct number y)
{
	struct number swap;

	normalise(&x);
	normalise(&y);
	if (y.exponent > x.exponent || (y.exponent == x.exponent && y.value > x.value)) {
		swap = x;
		x = y;
		y = swap;
	}
	y.value = shift_right(y.value, x.exponent - y.exponent);
	if (x.negative == y.negative)
		x.value += y.value;
	else
		x.value -= y.value;
	return x.value ? round_to_f32(x) : 0;
}

/* With a NaN or an infinity among the operands. Of several NaNs the first one counts. */
static u32 special(u32 a, u32 b, u32 c)
{
	u32 sign = (a ^ b) & SIGN;
	bool product = is_infinite(a) || is_infinite(b);

	if (is_nan(a))
		return a | QUIET;
	if (is_nan(b))
		return b | QUIET;
	if (is_nan(c))
		return c | QUIET;
	if (product && (is_zero(a) || is_zero(b) || (is_infinite(c) && (c & SIGN) != sign)))
		return DEFAULT_NAN;
	return product ? sign | INFINITE : c;
}

u32 amx_f32_fma(u32 a, u32 b, u32 c)
{
	struct number x = take_apart(a), y = take_apart(b), z = take_apart(c);
	struct number product = { x.negative != y.negative, x.exponent + y.exponent, x.value * y.value };

	if (!(~a & INFINITE) || !(~b & INFINITE) || !(~c & INFINITE))
		return special(a, b, c);
	if (product.value && z.value)
		return add(product, z);
	if (product.value)
		return round_to_f32(product);
	if (z.value)
		return c;
	return product.negative && z.negative ? SIGN : 0;
}

u32 amx_f32_add(u32 a, u32 b)
{
	return amx_f32_fma(a, ONE, b);
}
