/* ELF files as execve wants them. Pure code; see elf.c. */
#ifndef KERNEL_ELF_H
#define KERNEL_ELF_H

#include "kernel/types.h"

#define ELF_MAX_SEGMENTS 32
#define ELF_PHDR_SIZE 56 /* what AT_PHENT says */

struct elf_segment {
	u64 vaddr, memsz; /* before the load base is added */
	u64 offset, filesz;
	u8 prot; /* PROT_READ and so on */
};

struct elf_image {
	bool pie;	  /* may be loaded at any base */
	bool integer_only; /* a note says that it uses no vector register */
	u64 entry, end;	  /* end of the highest segment */
	u64 phdr;	  /* address of the program headers in memory, 0 if no segment holds them */
	u32 phnum, nsegments;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/* NULL if the file can be run (static, x86-64, nothing outside [low, high)), else why not, in a few words. */
const char *elf_parse(const u8 *file, u64 size, u64 low, u64 high, struct elf_image *image);

#endif
