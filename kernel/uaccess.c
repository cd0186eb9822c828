/* The checked front of usercopy.asm, and the exception table's look-up. */
#include "kernel/errno.h"
#include "kernel/memory.h"
#include "kernel/uaccess.h"

struct extable_entry {
	u64 instruction, fixup;
};

extern const struct extable_entry extable_start[], extable_end[];
extern const u64 smap_sites_start[], smap_sites_end[];

size_t clear_user_bytes(void *dst, size_t n);
int read_user_u32(const u32 *src, u32 *value);

long clear_user(u64 dst, size_t n)
{
	return user_range(dst, n) && !clear_user_bytes((void *)dst, n) ? 0 : -EFAULT;
}

long user_read_u32(u64 src, u32 *value)
{
	return user_range(src, sizeof(*value)) && !read_user_u32((const u32 *)src, value) ? 0 : -EFAULT;
}

/* Up to the end of its page at a time: a string may end just before an unmapped page. */
long string_from_user(char *dst, u64 src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t n = MIN(size - done, PAGE_SIZE - (src + done) % PAGE_SIZE);
		size_t got = n - copy_from_user_partial(dst + done, src + done, n);

		for (size_t i = 0; i < got; i++)
			if (!dst[done + i])
				return (long)(done + i);
		if (got < n)
			return -EFAULT;
		done += n;
	}
	return -ENAMETOOLONG;
}

u64 extable_fixup(u64 rip)
{
	for (const struct extable_entry *e = extable_start; e < extable_end; e++)
		if (e->instruction == rip)
			return e->fixup;
	return 0;
}

void uaccess_remove_smap(void)
{
	static const u8 nop3[3] = { 0x0f, 0x1f, 0x00 };

	for (const u64 *site = smap_sites_start; site < smap_sites_end; site++)
		for (u32 i = 0; i < sizeof(nop3); i++)
			((u8 *)*site)[i] = nop3[i];
}
