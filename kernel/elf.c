/*
 * Reads an ELF64 executable's headers. Trusts nothing: every offset is checked against the file's size, every
 * address against the range it must stay in, segments must come in ascending order and not share a page, and
 * the entry point must lie in an executable one.
 */
#include "kernel/elf.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/string.h"

#define ET_EXEC 2
#define ET_DYN 3
#define EM_X86_64 62
#define PT_LOAD 1
#define PT_INTERP 3
#define PT_NOTE 4
#define PF_X 1
#define PF_W 2
#define PF_R 4

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

static const char *check_header(const struct elf_header *h, u64 size)
{
	static const u8 ident[] = { 0x7f, 'E', 'L', 'F' };

	if (memcmp(h->ident, ident, sizeof(ident)))
		return "not an ELF file";
	if (h->ident[4] != 2 || h->ident[5] != 1 || h->machine != EM_X86_64)
		return "not for x86-64";
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return "not an executable";
	if (h->phentsize != sizeof(struct elf_phdr) || !h->phnum)
		return "bad program headers";
	if (h->phoff > size || size - h->phoff < (u64)h->phnum * sizeof(struct elf_phdr))
		return "program headers outside the file";
	return NULL;
}

static u8 prot_of(u32 flags)
{
	return (u8)((flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) | (flags & PF_X ? PROT_EXEC : 0));
}

static const char *add_segment(struct elf_image *image, const struct elf_phdr *p, u64 size, u64 low, u64 high)
{
	struct elf_segment *segment = &image->segments[image->nsegments];

	if (!p->memsz)
		return NULL;
	if (image->nsegments == ELF_MAX_SEGMENTS)
		return "too many segments";
	if (p->filesz > p->memsz || p->offset > size || p->filesz > size - p->offset)
		return "segment outside the file";
	if (p->vaddr % PAGE_SIZE != p->offset % PAGE_SIZE)
		return "segment misaligned";
	if (p->vaddr < low || p->vaddr >= high || p->memsz > high - p->vaddr)
		return "segment outside user memory";
	if (image->nsegments && ALIGN_DOWN(p->vaddr, PAGE_SIZE) < ALIGN_UP(image->end, PAGE_SIZE))
		return "segments overlap or are out of order";
	*segment = (struct elf_segment){ p->vaddr, p->memsz, p->offset, p->filesz, prot_of(p->flags) };
	image->end = p->vaddr + p->memsz;
	image->nsegments++;
	return NULL;
}

/* Where the program headers [phoff, phoff + n) of the file are in memory. */
static u64 find_phdr(const struct elf_image *image, u64 phoff, u64 n)
{
	for (u32 i = 0; i < image->nsegments; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (phoff >= s->offset && phoff - s->offset <= s->filesz && n <= s->filesz - (phoff - s->offset))
			return s->vaddr + (phoff - s->offset);
	}
	return 0;
}

/* A note with name "Tarry" and type 1 marks an integer-only program. */
static bool has_integer_only_note(const u8 *file, u64 size, const struct elf_phdr *p)
{
	static const u8 note[] = { 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'T', 'a', 'r', 'r', 'y', 0 };

	return p->offset <= size && p->filesz <= size - p->offset && p->filesz >= sizeof(note) &&
	       !memcmp(file + p->offset, note, sizeof(note));
}

static bool entry_ok(const struct elf_image *image)
{
	for (u32 i = 0; i < image->nsegments; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (s->prot & PROT_EXEC && image->entry >= s->vaddr && image->entry - s->vaddr < s->memsz)
			return true;
	}
	return false;
}

const char *elf_parse(const u8 *file, u64 size, u64 low, u64 high, struct elf_image *image)
{
	struct elf_header h;
	struct elf_phdr p;
	const char *error;

	memset(image, 0, sizeof(*image));
	if (size < sizeof(h))
		return "too short for an ELF file";
	memcpy(&h, file, sizeof(h));
	error = check_header(&h, size);
	if (error)
		return error;
	image->pie = h.type == ET_DYN;
	image->entry = h.entry;
	image->phnum = h.phnum;
	for (u32 i = 0; i < h.phnum; i++) {
		memcpy(&p, file + h.phoff + i * sizeof(p), sizeof(p));
		if (p.type == PT_INTERP)
			return "dynamically linked";
		if (p.type == PT_NOTE && has_integer_only_note(file, size, &p))
			image->integer_only = true;
		/* A position-independent file counts from 0; its base comes later and keeps it in range. */
		if (p.type == PT_LOAD)
			error = add_segment(image, &p, size, image->pie ? 0 : low, image->pie ? high - low : high);
		if (error)
			return error;
	}
	if (!image->nsegments)
		return "nothing to load";
	if (!entry_ok(image))
		return "entry point outside the code";
	image->phdr = find_phdr(image, h.phoff, (u64)h.phnum * sizeof(p));
	return NULL;
}
