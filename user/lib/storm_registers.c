/*
 * storm_registers.c - the patterns of the storm: making one, and comparing it with what a round
 * found. One table lists all registers.
 *
 * A word of a pattern tells whose it is: the task's number, the register's place in the table and
 * the round stand in its upper half, so that a stray one can be recognised; the lower half is
 * random. Now and then a whole component is zero, its initial value, which XSAVE treats specially.
 */
#include <storm.h>
#include <xstate.h>

#define XCR0_AVX	6U
#define XCR0_AVX512	0xe6U
#define FCW_BITS	0x1f3fU		/* all but what is reserved */
#define FCW_ONE		0x40U
#define MAX_REPORTS	20

struct component {
	const char *name;		/* printed with the register's number */
	uint32_t first, count;
	uint32_t offset, step, size;	/* in struct storm_registers */
	uint32_t feature;
};

#define AT(member)	offsetof(struct storm_registers, member)

static const struct component components[] = {
	{ "st%u", 0, 8, AT(st), 16, 10, 0 },
	{ "xmm%u", 0, 16, AT(zmm), 64, 16, 0 },
	{ "ymm%u, upper half", 0, 16, AT(zmm) + 16, 64, 16, STORM_AVX },
	{ "zmm%u, upper half", 0, 16, AT(zmm) + 32, 64, 32, STORM_AVX512 },
	{ "zmm%u", 16, 16, AT(zmm[16]), 64, 64, STORM_AVX512 },
	{ "k%u", 0, 8, AT(k), 8, 8, STORM_AVX512 },
};

static const struct component controls[] = {
	{ "mxcsr", 0, 1, AT(mxcsr), 0, 4, 0 }, { "fcw", 0, 1, AT(fcw), 0, 2, 0 },
	{ "fsw", 0, 1, AT(fsw), 0, 2, 0 }, { "pkru", 0, 1, AT(pkru), 0, 4, STORM_PKU },
};

static const char gpr_names[GPRS][4] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
					 "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

static uint32_t mxcsr_mask(void)
{
	static uint8_t image[512] __attribute__((aligned(16)));
	uint32_t mask;

	__asm__ volatile("fxsave %0" : "=m"(image));
	memcpy(&mask, image + 28, sizeof(mask));
	return mask ? mask : 0xffbf;
}

uint32_t storm_features(void)
{
	uint64_t xcr0 = cpuid(1, 0).ecx >> 27 & 1 ? xgetbv(0) : 0;
	uint32_t features = 0, leaf7 = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

	if ((xcr0 & XCR0_AVX) == XCR0_AVX)
		features |= STORM_AVX;
	if ((xcr0 & XCR0_AVX512) == XCR0_AVX512 && leaf7 >> 16 & 1 && leaf7 >> 30 & 1)
		features |= STORM_AVX512;	/* with BW: 64-bit mask registers */
	if (has_pkeys())
		features |= STORM_PKU;
	return features;
}

void storm_describe(uint32_t features)
{
	int cpus = 0;

	for (uint64_t left = storm_shared->cpus; left; left &= left - 1)
		cpus++;
	printf("storm: %d CPUs; a check is one register compared: general registers, st0-7, xmm0-15, mxcsr, "
	       "fcw, fsw%s%s%s\n", cpus,
	       features & STORM_AVX ? ", upper halves of ymm0-15" : "",
	       features & STORM_AVX512 ? ", upper halves of zmm0-15, zmm16-31, k0-7" : "",
	       features & STORM_PKU ? ", pkru" : "");
}

uint64_t storm_random(struct storm_task *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

static uint64_t pattern_word(struct storm_task *t, uint32_t place)
{
	return (uint64_t)(t->number & 0xff) << 56 | (uint64_t)(place & 0xff) << 48 |
	       (uint64_t)(t->round & 0xffff) << 32 | (storm_random(t) & 0xffffffff);
}

static void fill(struct storm_task *t, uint8_t *at, size_t size, uint32_t place)
{
	for (; size >= 8; size -= 8, at += 8)
		*(uint64_t *)at = pattern_word(t, place);
	if (size)
		*(uint16_t *)at = (uint16_t)pattern_word(t, place);	/* sign and exponent */
}

static void fill_component(struct storm_task *t, const struct component *c, uint32_t place)
{
	uint8_t *at = (uint8_t *)&t->want + c->offset;
	int zero = storm_random(t) % 8 == 0;

	for (uint32_t i = 0; i < c->count; i++, at += c->step) {
		if (zero)
			memset(at, 0, c->size);
		else
			fill(t, at, c->size, place + i);
	}
}

/* Exceptions of any kind may be unmasked: no round computes anything. Each now and then initial. */
static void fill_controls(struct storm_task *t, uint32_t mask)
{
	uint64_t initial = storm_random(t) % 8;

	t->want.mxcsr = initial == 0 ? 0x1f80 : (uint32_t)storm_random(t) & mask;
	t->want.fcw = initial == 1 ? 0x37f : (uint16_t)((storm_random(t) & FCW_BITS) | FCW_ONE);
	t->want.fsw = (uint16_t)(storm_random(t) & 7) << 11;
	if (t->features & STORM_PKU)		/* key 0 is that of all our memory */
		t->want.pkru = initial == 2 ? 0 : (uint32_t)storm_random(t) & ~3U;
}

void storm_pattern(struct storm_task *t)
{
	static uint32_t mask;
	uint32_t place = 0;

	if (!mask)
		mask = mxcsr_mask();
	for (size_t i = 0; i < ARRAY_SIZE(components); i++) {
		if (components[i].feature & ~t->features)
			continue;
		fill_component(t, &components[i], place);
		place += components[i].count;
	}
	for (int i = 0; i < GPRS; i++)
		t->want.gpr[i] = pattern_word(t, place++);
	fill_controls(t, mask);
}

static uint32_t cpu_number(void)
{
	uint32_t cpu = 0;

	syscall3(SYS_getcpu, &cpu, NULL, NULL);
	return cpu;
}

static uint64_t hex_word(const uint8_t *at, size_t size)
{
	uint64_t word = 0;

	memcpy(&word, at, size < 8 ? size : 8);
	return word;
}

/* The first words that differ; the rest is seldom news. */
static void report(struct storm_task *t, const char *name, uint32_t offset, uint32_t size)
{
	const uint8_t *want = (uint8_t *)&t->want + offset, *got = (uint8_t *)&t->got + offset;
	uint32_t at = 0;
	char work[100] = "";

	if (__atomic_fetch_add(&storm_shared->mismatches, 1, __ATOMIC_SEQ_CST) >= MAX_REPORTS)
		return;
	while (at + 8 < size && memcmp(want + at, got + at, 8) == 0)
		at += 8;
	for (int i = 0; i < STORM_CALLS && t->work[i]; i++)
		snprintf(work + strlen(work), sizeof(work) - strlen(work), " %s", t->work[i]);
	printf("storm: task %u%s, round %u, CPU %u: %s, byte %u on: expected %lx, seen %lx, after%s\n",
	       t->number, t->transient ? "'s child" : "", t->round, cpu_number(), name, at,
	       hex_word(want + at, size - at), hex_word(got + at, size - at), work);
}

static int same(const struct storm_task *t, uint32_t offset, uint32_t size)
{
	const uint8_t *want = (uint8_t *)&t->want + offset, *got = (uint8_t *)&t->got + offset;

	for (; size >= 8; size -= 8, want += 8, got += 8)
		if (*(uint64_t *)want != *(uint64_t *)got)
			return 0;
	for (; size > 0; size -= 2, want += 2, got += 2)
		if (*(uint16_t *)want != *(uint16_t *)got)
			return 0;
	return 1;
}

/* The number of registers compared. */
static uint32_t compare_table(struct storm_task *t, const struct component *table, size_t n)
{
	uint32_t checks = 0;

	for (const struct component *c = table; c < table + n; c++) {
		if (c->feature & ~t->features)
			continue;
		for (uint32_t i = 0; i < c->count; i++) {
			char name[24];

			if (same(t, c->offset + i * c->step, c->size))
				continue;
			snprintf(name, sizeof(name), c->name, c->first + i);
			report(t, name, c->offset + i * c->step, c->size);
		}
		checks += c->count;
	}
	return checks;
}

void storm_compare(struct storm_task *t)
{
	uint32_t checks = compare_table(t, components, ARRAY_SIZE(components)) +
			  compare_table(t, controls, ARRAY_SIZE(controls));

	for (int i = 0; i < GPRS; i++) {
		if (!(t->known >> i & 1))
			continue;
		checks++;
		if (t->want.gpr[i] != t->got.gpr[i])
			report(t, gpr_names[i], AT(gpr) + 8 * (uint32_t)i, 8);
	}
	__atomic_fetch_add(&storm_shared->checks, checks, __ATOMIC_SEQ_CST);
}
