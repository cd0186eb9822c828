/*
 * fuzz_image.c - random numbers, and FPU images in XSAVE's standard format: making one, spoiling it, saying what must
 * become of it, and comparing registers with it. What is judged here is Linux's ABI and the manual's rules for
 * XRSTOR.
 */
#include <fuzz.h>

enum { X87, SSE, AVX, COMPONENTS };

#define LEGACY		3ul
#define FCW_INIT	0x37f
#define FCW_BITS	0x1f3fu
#define FSW_BITS	0x7f7fu		/* but ES and B, which follow from the rest */

#define TILES	(3ul << 17)

struct fuzz_format fuzz_format;

/* --- Random numbers: splitmix64 --- */

static uint64_t state;

uint64_t fuzz_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void fuzz_begin(const char *kind, uint64_t number)
{
	state = fuzz_seed * 0xd1342543de82ef95 + (uint64_t)kind[0];
	state = fuzz_random() + number;
	state = fuzz_random();
}

void fuzz_fill(void *at, size_t size)
{
	uint8_t *to = at;
	uint64_t word;

	for (; size; to += 8, size -= size < 8 ? size : 8) {
		word = fuzz_random();
		memcpy(to, &word, size < 8 ? size : 8);
	}
}

void fuzz_finding(struct fuzz_runner *r, const char *format, ...)
{
	va_list ap;

	if (r->findings)
		return;
	va_start(ap, format);
	vsnprintf(r->finding, sizeof(r->finding), format, ap);
	va_end(ap);
	r->found_at = r->at;
	r->findings = 1;
}

/* --- Images --- */

static uint32_t offset_of(uint32_t component)
{
	return fuzz_format.xcr0 >> component & 1 ? cpuid(13, component).ebx : 0;
}

void fuzz_image_init(void)
{
	static struct fuzz_image image;

	__asm__ volatile("fxsave64 %0" : "=m"(image) : : "memory");
	fuzz_format.mxcsr_mask = image.mxcsr_mask ? image.mxcsr_mask : 0xffbf;
	fuzz_format.xcr0 = xgetbv(0);
	fuzz_format.size = cpuid(13, 0).ebx;
	fuzz_format.avx = offset_of(2);
	fuzz_format.pkru = has_pkeys() ? offset_of(9) : 0;
	fuzz_landed.has = (fuzz_format.avx ? FUZZ_HAS_AVX : 0) | (fuzz_format.pkru ? FUZZ_HAS_PKU : 0);
}

static uint8_t *byte_at(const struct fuzz_image *image, uint32_t offset)
{
	return (uint8_t *)image + offset;
}

/* Key 0 mostly open: a program that closes it can't go on. */
static void make_pkru(struct fuzz_image *image)
{
	uint32_t pkru = (uint32_t)fuzz_random() & (fuzz_below(16) ? ~3u : ~0u);

	if (fuzz_format.pkru)
		memcpy(byte_at(image, fuzz_format.pkru), &pkru, sizeof(pkru));
}

void fuzz_image_make(struct fuzz_image *image)
{
	uint32_t size = fuzz_format.size, magic2 = MAGIC2;

	fuzz_fill(image, size);
	image->fcw = (uint16_t)((image->fcw & FCW_BITS) | 0x40);
	image->fsw &= 0x3800;
	image->ftw &= 0xff;
	image->mxcsr &= fuzz_format.mxcsr_mask;
	image->sw = (struct sw){ MAGIC1, size + 4, fuzz_format.xcr0, size, { 0 } };
	image->bv = fuzz_format.xcr0 & (fuzz_below(2) ? ~0ul : fuzz_random());
	image->compaction = 0;
	memset(image->reserved, 0, sizeof(image->reserved));
	make_pkru(image);
	memcpy(byte_at(image, size), &magic2, sizeof(magic2));
}

void fuzz_image_spoil(struct fuzz_image *image)
{
	uint64_t bit = 1ul << fuzz_below(64);

	switch (fuzz_below(14)) {
	case 0: image->reserved[fuzz_below(6)] ^= bit; break;
	case 1: image->compaction = fuzz_below(2) ? bit : 1ul << 63 | image->bv; break;
	case 2: image->bv ^= bit; break;
	case 3: image->bv = fuzz_random(); break;
	case 4: image->mxcsr ^= (uint32_t)bit; break;
	case 5: image->mxcsr = (uint32_t)fuzz_random(); break;
	case 6: image->sw.magic1 ^= (uint32_t)bit; break;
	case 7: *(byte_at(image, fuzz_format.size) + fuzz_below(4)) ^= 0x10; break;
	case 8: image->sw.xstate_size = (uint32_t)fuzz_below(fuzz_below(2) ? 8192 : ~0u); break;
	case 9: image->sw.extended_size = (uint32_t)fuzz_below(fuzz_below(2) ? 8192 : ~0u); break;
	case 10: image->sw.xfeatures = fuzz_below(2) ? image->sw.xfeatures ^ bit : fuzz_random(); break;
	case 11: fuzz_fill(byte_at(image, (uint32_t)fuzz_below(fuzz_format.size - 64)), 64); break;
	case 12: fuzz_fill(image, fuzz_format.size); break;
	default: *byte_at(image, (uint32_t)fuzz_below(fuzz_format.size)) = (uint8_t)fuzz_random();
	}
}

static int header_is_bad(const struct fuzz_image *image)
{
	uint64_t reserved = 0;

	for (size_t i = 0; i < ARRAY_SIZE(image->reserved); i++)
		reserved |= image->reserved[i];
	return reserved || image->compaction || image->bv & ~fuzz_format.xcr0;
}

static enum fuzz_verdict judge_mxcsr(const struct fuzz_image *image, int used)
{
	if (!(image->mxcsr & ~fuzz_format.mxcsr_mask))
		return FUZZ_TAKE;
	return used ? FUZZ_REFUSE : FUZZ_DOUBT;	/* XRSTOR looks at it even so, a kernel need not */
}

/* What an unusual but possible descriptor selects is the kernel's to say. */
static int usual_descriptor(const struct sw *sw)
{
	return sw->extended_size == fuzz_format.size + 4 && sw->xstate_size == fuzz_format.size &&
	       sw->xfeatures == fuzz_format.xcr0;
}

enum fuzz_verdict fuzz_image_judge(const struct fuzz_image *image, int frame, uint64_t *features)
{
	uint32_t magic2;

	memcpy(&magic2, byte_at(image, fuzz_format.size), sizeof(magic2));
	*features = LEGACY;
	if (frame && image->sw.magic1 != MAGIC1)
		return judge_mxcsr(image, 1);
	if (frame && !usual_descriptor(&image->sw)) {
		*features = ~0ul;
		return FUZZ_DOUBT;
	}
	*features = image->bv & fuzz_format.xcr0;
	if (frame && magic2 != MAGIC2) {
		*features = LEGACY;
		return judge_mxcsr(image, 1);
	}
	if (image->bv & TILES & ~fuzz_format.xcr0) {	/* which the kernel may model, unknown to CPUID */
		*features = ~0ul;
		return FUZZ_DOUBT;
	}
	return header_is_bad(image) ? FUZZ_REFUSE : judge_mxcsr(image, (image->bv & 6) != 0);
}

uint32_t fuzz_image_pkru(const struct fuzz_image *image)
{
	uint32_t pkru = 0;

	if (fuzz_format.pkru)
		memcpy(&pkru, byte_at(image, fuzz_format.pkru), sizeof(pkru));
	return pkru;
}

void fuzz_image_registers(const struct fuzz_image *image, struct fuzz_registers *to)
{
	memcpy(to->legacy, image, sizeof(to->legacy));
	if (fuzz_format.avx)
		memcpy(to->ymm_high, byte_at(image, fuzz_format.avx), sizeof(to->ymm_high));
	to->pkru = fuzz_image_pkru(image);
}

/* --- Comparing --- */

static int is_zero(const uint8_t *at, size_t size)
{
	while (size && !*at)
		at++, size--;
	return !size;
}

static int same_x87(const struct fuzz_image *a, const struct fuzz_image *b)
{
	int same = !((a->fcw ^ b->fcw) & FCW_BITS) && !((a->fsw ^ b->fsw) & FSW_BITS);

	for (int i = 0; i < 8; i++)
		same &= memcmp(a->st[i], b->st[i], 10) == 0;
	return same;
}

static int same(int component, const struct fuzz_registers *a, const struct fuzz_registers *b)
{
	const struct fuzz_image *first = (const void *)a->legacy, *second = (const void *)b->legacy;

	if (component == X87)
		return same_x87(first, second);
	if (component == SSE)
		return !memcmp(first->xmm, second->xmm, sizeof(first->xmm));
	return !memcmp(a->ymm_high, b->ymm_high, sizeof(a->ymm_high));
}

static int initial(int component, const struct fuzz_registers *r)
{
	const struct fuzz_image *legacy = (const void *)r->legacy;
	static struct fuzz_registers init;

	((struct fuzz_image *)init.legacy)->fcw = FCW_INIT;
	if (component == X87)
		return same_x87(legacy, (const void *)init.legacy);
	if (component == SSE)
		return is_zero((const uint8_t *)legacy->xmm, sizeof(legacy->xmm));
	return is_zero((const uint8_t *)r->ymm_high, sizeof(r->ymm_high));
}

static uint32_t mxcsr_of(const struct fuzz_registers *r)
{
	return ((const struct fuzz_image *)r->legacy)->mxcsr;
}

static int pkru_differs(const struct fuzz_registers *found, const struct fuzz_registers *from, uint64_t features,
			int strict)
{
	uint32_t given = features & PKRU_BIT ? from->pkru : 0;

	if (!fuzz_format.pkru || found->pkru == given)
		return 0;
	return strict || (found->pkru != 0 && found->pkru != PKRU_DEFAULT && found->pkru != from->pkru);
}

const char *fuzz_registers_differ(const struct fuzz_registers *found, const struct fuzz_registers *from,
				  uint64_t features, int strict)
{
	static const char *const names[COMPONENTS] = { "the x87 registers", "the XMM registers",
						       "the upper halves of the YMM registers" };

	for (int i = 0; i < COMPONENTS; i++) {
		int given = features >> i & 1;

		if (i == AVX && !fuzz_format.avx)
			continue;
		if (given && same(i, found, from))
			continue;
		if ((given && strict) || !initial(i, found))
			return names[i];
	}
	if (strict && features & 6 && mxcsr_of(found) != mxcsr_of(from))
		return "MXCSR";
	return pkru_differs(found, from, features, strict) ? "PKRU" : NULL;
}
