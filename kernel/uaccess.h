/*
 * Access to the memory of the current user program. Goes through the user mapping, so that page faults,
 * write protection and (later) protection keys apply. SMAP stays on everywhere else. May sleep in the page
 * fault; never with a spin lock or an address space's lock held.
 */
#ifndef KERNEL_UACCESS_H
#define KERNEL_UACCESS_H

#include "kernel/errno.h"
#include "kernel/types.h"

/* First address that no user mapping may reach; the last page below the canonical hole stays empty. */
#define USER_END 0x00007ffffffff000ul
#define USER_START 0x1000ul

static inline bool user_range(u64 address, u64 size)
{
	return address <= USER_END && size <= USER_END - address;
}

/* usercopy.asm: the copy itself, unchecked. */
size_t copy_user(void *dst, const void *src, size_t n);

/* Bytes that could not be copied; 0 is success. The range is checked. */
static inline size_t copy_from_user_partial(void *dst, u64 src, size_t n)
{
	return user_range(src, n) ? copy_user(dst, (const void *)src, n) : n;
}

static inline size_t copy_to_user_partial(u64 dst, const void *src, size_t n)
{
	return user_range(dst, n) ? copy_user((void *)dst, src, n) : n;
}

/* 0 or -EFAULT. */
static inline long copy_from_user(void *dst, u64 src, size_t n)
{
	return copy_from_user_partial(dst, src, n) ? -EFAULT : 0;
}

static inline long copy_to_user(u64 dst, const void *src, size_t n)
{
	return copy_to_user_partial(dst, src, n) ? -EFAULT : 0;
}

long clear_user(u64 dst, size_t n);

/* Copies a string with its NUL, at most size bytes: its length, -EFAULT, or -ENAMETOOLONG if it does not fit. */
long string_from_user(char *dst, u64 src, size_t size);

/* The 32-bit word at src, read at once. 0 or -EFAULT. */
long user_read_u32(u64 src, u32 *value);

/* Where to continue after a fault at this instruction, or 0. */
u64 extable_fixup(u64 rip);

/* For CPUs without SMAP: turns every recorded STAC and CLAC into a NOP. Before the text is write-protected. */
void uaccess_remove_smap(void);

#endif
