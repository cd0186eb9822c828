/*
 * elf.c - the reader of ELF headers: good files, every malformed header, truncation at every byte,
 * and random mutations. Files are heap blocks of exactly their size. Whatever is accepted must
 * satisfy check_image.
 */
#include "host.h"

#include "kernel/elf.c"

#define LOW 0x10000ul
#define HIGH 0x7ffffffff000ul
#define NPHDRS 5
#define FILE_SIZE 0x3000ul

struct elf_file {
	struct elf_header header;
	struct elf_phdr phdr[NPHDRS];
	u8 rest[FILE_SIZE - sizeof(struct elf_header) - NPHDRS * sizeof(struct elf_phdr)];
};

static struct elf_file good;
static struct elf_image image;

/* A static program: headers and read-only data, code, data with bss, a note and the
 * stack's rights. */
static int make_good(void **state)
{
	memset(&good, 0, sizeof(good));
	good.header = (struct elf_header){
		.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 },
		.type = ET_EXEC,
		.machine = EM_X86_64,
		.version = 1,
		.entry = 0x401010,
		.phoff = sizeof(struct elf_header),
		.ehsize = sizeof(struct elf_header),
		.phentsize = sizeof(struct elf_phdr),
		.phnum = NPHDRS,
	};
	good.phdr[0] =
		(struct elf_phdr){ PT_LOAD, PF_R, 0, 0x400000, 0x400000, 0x800, 0x800, 0x1000 };
	good.phdr[1] = (struct elf_phdr){ 4, PF_R, 0x700, 0x400700, 0x400700, 0x40, 0x40, 4 };
	good.phdr[2] = (struct elf_phdr){ PT_LOAD,  PF_R | PF_X, 0x1000, 0x401000,
					  0x401000, 0x900,	 0x900,	 0x1000 };
	good.phdr[3] = (struct elf_phdr){ PT_LOAD,  PF_R | PF_W, 0x2010, 0x402010,
					  0x402010, 0xff0,	 0x5000, 0x1000 };
	good.phdr[4] = (struct elf_phdr){ 0x6474e551, PF_R | PF_W, 0, 0, 0, 0, 0, 16 };
	return 0;
}

/* What the loader relies on, for a file of this size. */
static void check_image(u64 size)
{
	u64 low = image.pie ? 0 : LOW, high = image.pie ? HIGH - LOW : HIGH, end = 0;
	bool entry_in_code = false;

	assert_in_range(image.nsegments, 1, ELF_MAX_SEGMENTS);
	for (u32 i = 0; i < image.nsegments; i++) {
		const struct elf_segment *s = &image.segments[i];

		assert_true(s->memsz > 0 && s->filesz <= s->memsz);
		assert_true(s->offset <= size && s->filesz <= size - s->offset);
		assert_true(s->vaddr >= low && s->vaddr < high && s->memsz <= high - s->vaddr);
		assert_int_equal(s->vaddr % PAGE_SIZE, s->offset % PAGE_SIZE);
		assert_true(!i || s->vaddr / PAGE_SIZE > (end - 1) / PAGE_SIZE);
		assert_int_equal(s->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC), 0);
		end = s->vaddr + s->memsz;
		entry_in_code |=
			s->prot & PROT_EXEC && image.entry >= s->vaddr && image.entry < end;
	}
	assert_int_equal(image.end, end);
	assert_true(entry_in_code);
	if (image.phdr)
		assert_true(image.phdr >= low &&
			    image.phdr + (u64)image.phnum * ELF_PHDR_SIZE <= image.end);
}

/* Parses the first size bytes of the file from an exact heap block. */
static const char *parse(const void *file, u64 size)
{
	u8 *copy = exact_copy(file, size);
	const char *error = elf_parse(copy, size, LOW, HIGH, &image);

	free(copy);
	if (!error)
		check_image(size);
	return error;
}

static void refused(const char *reason)
{
	const char *error = parse(&good, sizeof(good));

	assert_non_null(error);
	assert_string_equal(error, reason);
	make_good(NULL);
}

static void accepted(void)
{
	const char *error = parse(&good, sizeof(good));

	if (error)
		print_error("refused: %s\n", error);
	assert_null(error);
}

/* Fails if any field of the result is taken from the wrong place. */
static void good_file(void **state)
{
	static const struct elf_segment expected[] = {
		{ 0x400000, 0x800, 0, 0x800, PROT_READ },
		{ 0x401000, 0x900, 0x1000, 0x900, PROT_READ | PROT_EXEC },
		{ 0x402010, 0x5000, 0x2010, 0xff0, PROT_READ | PROT_WRITE },
	};

	accepted();
	assert_false(image.pie);
	assert_int_equal(image.nsegments, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(image.segments[i].vaddr, expected[i].vaddr);
		assert_int_equal(image.segments[i].memsz, expected[i].memsz);
		assert_int_equal(image.segments[i].offset, expected[i].offset);
		assert_int_equal(image.segments[i].filesz, expected[i].filesz);
		assert_int_equal(image.segments[i].prot, expected[i].prot);
	}
	assert_int_equal(image.entry, 0x401010);
	assert_int_equal(image.end, 0x407010);
	assert_int_equal(image.phdr, 0x400040);
	assert_int_equal(image.phnum, NPHDRS);
}

/* Fails if a file that is no program for this machine gets as far as its segments. */
static void wrong_kind(void **state)
{
	for (u32 i = 0; i < 4; i++) {
		good.header.ident[i] ^= 1;
		refused("not an ELF file");
	}
	good.header.ident[4] = 1;
	refused("not for x86-64");
	good.header.ident[5] = 2;
	refused("not for x86-64");
	good.header.machine = 3;
	refused("not for x86-64");
	good.header.type = 1;
	refused("not an executable");
	good.header.type = 4;
	refused("not an executable");
	good.phdr[1].type = PT_INTERP;
	refused("dynamically linked");
	good.phdr[4].type = PT_INTERP;
	refused("dynamically linked");
}

/* Fails if the program headers are read outside the file, for instance by a sum that
 * wraps round. */
static void program_headers(void **state)
{
	static const u64 outside[] = {
		FILE_SIZE - NPHDRS * 56 + 1, FILE_SIZE, FILE_SIZE + 1, 1ul << 63, ~0ul, ~0ul - 56,
		~0ul - NPHDRS * 56 + 1
	};

	good.header.phnum = 0;
	refused("bad program headers");
	good.header.phentsize = 55;
	refused("bad program headers");
	good.header.phentsize = 0;
	refused("bad program headers");
	good.header.phnum = 0xffff;
	refused("program headers outside the file");
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
		good.header.phoff = outside[i];
		refused("program headers outside the file");
	}
	for (u32 i = 0; i < NPHDRS; i++)
		good.phdr[i].type = 0;
	refused("nothing to load");
	/* headers at an odd place and in no segment: allowed, but nothing to tell the program */
	memcpy((u8 *)&good + 0x1901, good.phdr, sizeof(good.phdr));
	good.header.phoff = 0x1901;
	accepted();
	assert_int_equal(image.phdr, 0);
}

/* Fails if a segment may lie outside the file, the user's memory, or on another one's page. */
static void segments(void **state)
{
	static const u64 huge[] = { 1ul << 47, 1ul << 63, ~0ul, ~0ul - 0xfff, 0ul - 0x402010 };

	for (u32 i = 0; i < ARRAY_SIZE(huge); i++) {
		good.phdr[3].filesz = good.phdr[3].memsz = huge[i];
		refused("segment outside the file");
		good.phdr[3].memsz = huge[i];
		refused("segment outside user memory");
		good.phdr[3].offset = (huge[i] & ~0xffful) + 0x10;
		refused("segment outside the file");
		good.phdr[3].vaddr = (huge[i] & ~0xffful) + 0x10;
		refused("segment outside user memory");
	}
	good.phdr[3].filesz++;
	refused("segment outside the file");
	good.phdr[2].filesz = good.phdr[2].memsz + 1;
	refused("segment outside the file");
	good.phdr[3].vaddr++;
	refused("segment misaligned");
	good.phdr[3].vaddr = 0x401900;
	good.phdr[3].offset = 0x1900;
	good.phdr[3].filesz = 0x10;
	refused("segments overlap or are out of order"); /* right behind the code, on its page */
	good.phdr[3].vaddr = 0x3ff010;
	refused("segments overlap or are out of order");
	good.phdr[2].memsz = 0x1001; /* ends below 402010, but on its page */
	refused("segments overlap or are out of order");
	good.phdr[2].memsz = 0x1000;
	accepted();
}

/* Fails if the ends of the allowed range are off by one. */
static void range_ends(void **state)
{
	good.phdr[0].vaddr = LOW;
	accepted();
	make_good(NULL);
	good.phdr[0].vaddr = LOW - PAGE_SIZE;
	refused("segment outside user memory");
	good.phdr[3].vaddr = HIGH - 0x5000 - 0xff0;
	good.phdr[3].memsz = 0x5000 + 0xff0;
	accepted();
	make_good(NULL);
	good.phdr[3].vaddr = HIGH - 0x5000 - 0xff0;
	good.phdr[3].memsz = 0x5000 + 0xff1;
	refused("segment outside user memory");
}

/* Fails if the first jump of a program could go anywhere. */
static void entry_point(void **state)
{
	static const u64 outside[] = { 0,	 0x400fff, 0x401900, 0x400000,
				       0x402010, HIGH,	   ~0ul,     0xffffffff80000000 };

	for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
		good.header.entry = outside[i];
		refused("entry point outside the code");
	}
	good.header.entry = 0x401000;
	accepted();
	good.header.entry = 0x4018ff;
	accepted();
	good.phdr[2].flags = PF_R;
	refused("entry point outside the code");
}

/* Fails if a position-independent file is measured against absolute addresses. */
static void position_independent(void **state)
{
	good.header.type = ET_DYN;
	good.header.entry -= 0x400000;
	for (u32 i = 0; i < NPHDRS; i++)
		good.phdr[i].vaddr -= i == 4 ? 0 : 0x400000;
	accepted();
	assert_true(image.pie);
	assert_int_equal(image.segments[0].vaddr, 0);
	assert_int_equal(image.phdr, 0x40);
	good.phdr[3].vaddr = HIGH - LOW - 0x5000 + 0x10;
	good.phdr[3].memsz = 0x5000 - 0x10;
	accepted();
	good.phdr[3].memsz++;
	refused("segment outside user memory");
}

/* Fails if empty segments count, or one too many is stored. */
static void many_segments(void **state)
{
	u8 *file = calloc(1, 0x2000);
	struct elf_header *header = (struct elf_header *)file;

	for (u32 n = ELF_MAX_SEGMENTS - 1; n <= ELF_MAX_SEGMENTS + 1; n++) {
		const char *error;

		*header = good.header;
		header->phnum = (u16)(2 * n);
		for (u32 i = 0; i < 2 * n; i++) {
			struct elf_phdr p = { PT_LOAD, PF_R | PF_X, 0,	   0x401000 + i * 0x1000,
					      0,       i % 2,	    i % 2, 1 };

			memcpy(file + header->phoff + i * sizeof(p), &p, sizeof(p));
		}
		header->entry = 0x402000;
		error = parse(file, 0x2000);
		if (n <= ELF_MAX_SEGMENTS)
			assert_null(error);
		else
			assert_string_equal(error, "too many segments");
	}
	free(file);
}

/* Fails if a byte behind the end of a short file is read, or a part of a segment is missing and
 * nobody says so. */
static void truncated(void **state)
{
	for (u64 size = 0; size < sizeof(good); size++)
		assert_non_null(parse(&good, size));
	accepted();
}

/* Fails on any header that slips through all of the above: check_image judges what is accepted. */
static void mutated(void **state)
{
	static const u64 numbers[] = { 0,	  1,	     0xfff, 0x1000,  1ul << 31,
				       1ul << 47, 1ul << 63, ~0ul,  ~0xffful };
	const u64 headers = offsetof(struct elf_file, rest);
	struct rng rng = { 0x7f454c46 };
	u32 ok = 0;

	for (u32 round = 0; round < 100000; round++) {
		u32 changes = (u32)rng_below(&rng, 4) + 1;
		u64 size = rng_below(&rng, 8) ? sizeof(good) : rng_below(&rng, sizeof(good));

		make_good(NULL);
		if (round % 4 == 3)
			good.header.type = ET_DYN;
		while (changes--) {
			u8 *at = (u8 *)&good + rng_below(&rng, headers);

			if (rng_below(&rng, 2))
				*at = (u8)rng_next(&rng);
			else if (rng_below(&rng, 2))
				*at ^= (u8)(1 << rng_below(&rng, 8));
			else
				memcpy((u8 *)&good + rng_below(&rng, headers / 8) * 8,
				       &numbers[rng_below(&rng, ARRAY_SIZE(numbers))], 8);
		}
		ok += !parse(&good, size);
	}
	assert_in_range(ok, 1000, 90000); /* both ways were gone often */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_file, make_good),
		cmocka_unit_test_setup(wrong_kind, make_good),
		cmocka_unit_test_setup(program_headers, make_good),
		cmocka_unit_test_setup(segments, make_good),
		cmocka_unit_test_setup(range_ends, make_good),
		cmocka_unit_test_setup(entry_point, make_good),
		cmocka_unit_test_setup(position_independent, make_good),
		cmocka_unit_test_setup(many_segments, make_good),
		cmocka_unit_test_setup(truncated, make_good),
		cmocka_unit_test_setup(mutated, make_good),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
