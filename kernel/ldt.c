/*
 * Local descriptor tables: modify_ldt, for programs with segments of their own. An address space has none until it
 * asks. A table is never changed in place: a new one is installed, every CPU that uses the address space is told, and
 * only then is the old one freed; so what a CPU with interrupts off has looked up in its table stays true. Nothing
 * here may let a descriptor in that user mode could not have been given: all are ordinary code or data, privilege level
 * 3, never of 64-bit code.
 */
#include "kernel/errno.h"
#include "kernel/ldt.h"
#include "kernel/mm.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define MAX_ENTRIES 8192
#define DEFAULT_LDT_SIZE 128
#define GDT_LDT 0x0000820000000000ul

bool segments_plain;

/* Linux's struct user_desc. */
struct user_desc {
	u32 entry, base, limit;
	u32 seg_32bit : 1, contents : 2, read_exec_only : 1, limit_in_pages : 1, not_present : 1, useable : 1, lm : 1;
};

/* The bits of an entry that is to be made empty. */
static bool is_empty(const struct user_desc *d)
{
	return !d->base && !d->limit && !d->contents && d->read_exec_only && !d->seg_32bit && !d->limit_in_pages &&
	       d->not_present && !d->useable && !d->lm;
}

/* Marked as accessed, so that the CPU never writes to the table. */
static u64 descriptor(const struct user_desc *d, bool old_mode)
{
	u64 type = 1 | (u64)!d->read_exec_only << 1 | (u64)d->contents << 2;

	return (d->limit & 0xffff) | (d->base & 0xfffffful) << 16 | type << 40 | 1ul << 44 | 3ul << 45 |
	       (u64)!d->not_present << 47 | (d->limit & 0xf0000ul) << 32 | (u64)(d->useable && !old_mode) << 52 |
	       (u64)d->seg_32bit << 54 | (u64)d->limit_in_pages << 55 | (d->base & 0xff000000ul) << 32;
}

static struct ldt *create(const struct ldt *from, u32 count)
{
	struct ldt *ldt = kzalloc(sizeof(*ldt) + count * sizeof(u64));

	if (!ldt)
		return NULL;
	ldt->count = count;
	if (from)
		memcpy(ldt->entry, from->entry, MIN(count, from->count) * sizeof(u64));
	return ldt;
}

void ldt_free(struct ldt *ldt)
{
	kfree(ldt);
}

bool ldt_fork(struct mm *child, const struct mm *parent)
{
	if (parent->ldt)
		child->ldt = create(parent->ldt, parent->ldt->count);
	return child->ldt || !parent->ldt;
}

void ldt_load(const struct ldt *ldt)
{
	u64 base = ldt ? (u64)ldt->entry : 0, *gdt = this_cpu->self->gdt;

	this_cpu->ldt = ldt;
	if (ldt) {
		gdt[LDT_SELECTOR / 8] = GDT_LDT | (1ul << 47) | (ldt->count * sizeof(u64) - 1) |
					(base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
		gdt[LDT_SELECTOR / 8 + 1] = base >> 32;
	}
	asm volatile("lldt %w0" ::"r"(ldt ? LDT_SELECTOR : 0) : "memory");
}

/* Present, and data or readable code: MOV to a segment register takes it. */
static bool loadable(u32 selector)
{
	u32 rights = 0;
	bool valid;

	asm volatile("lar %2, %0" : "+r"(rights), "=@ccz"(valid) : "r"(selector));
	return valid && rights & BIT(15) && (!(rights & BIT(11)) || rights & BIT(9));
}

u64 ldt_usable_selectors(u64 selectors)
{
	for (u32 shift = 0; shift < 64; shift += 16)
		if (selectors >> shift & SELECTOR_LDT && !loadable((u16)(selectors >> shift)))
			selectors &= ~(0xfffful << shift);
	return selectors;
}

/* On each CPU that uses it. What lies in DS and ES is looked up anew, as on Linux. */
static void take_over(void *arg)
{
	struct mm *mm = arg;
	u64 selectors;
	u16 ds, es;

	if (this_cpu->mm != mm)
		return;
	ldt_load(mm->ldt);
	asm volatile("mov %%ds, %0\n\tmov %%es, %1" : "=r"(ds), "=r"(es));
	selectors = ldt_usable_selectors(ds | (u64)es << 16);
	asm volatile("mov %w0, %%ds\n\tmov %w1, %%es" ::"r"((u32)selectors), "r"((u32)(selectors >> 16)));
}

static long install(struct mm *mm, u32 entry, u64 value)
{
	struct ldt *old = mm->ldt, *new = create(old, MAX(entry + 1, old ? old->count : 0));

	if (!new)
		return -ENOMEM;
	new->entry[entry] = value;
	__atomic_store_n(&segments_plain, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&mm->ldt, new, __ATOMIC_SEQ_CST);
	mm_on_cpus(mm, take_over, mm);
	ldt_free(old);
	return 0;
}

static long write_ldt(u64 user, u64 size, bool old_mode)
{
	struct mm *mm = current->mm;
	struct user_desc d;
	u64 value;
	long error;

	if (size != sizeof(d))
		return -EINVAL;
	if (copy_from_user(&d, user, sizeof(d)))
		return -EFAULT;
	if (d.entry >= MAX_ENTRIES || (d.contents == 3 && (old_mode || !d.not_present)))
		return -EINVAL;
	value = (old_mode && !d.base && !d.limit) || is_empty(&d) ? 0 : descriptor(&d, old_mode);
	mutex_lock(&mm->lock);
	error = install(mm, d.entry, value);
	mutex_unlock(&mm->lock);
	return error;
}

static long read_ldt(u64 user, u64 size)
{
	struct mm *mm = current->mm;
	struct ldt *copy = NULL;
	long error = 0;
	u64 have;

	size = MIN(size, MAX_ENTRIES * sizeof(u64));
	mutex_lock(&mm->lock);
	if (mm->ldt && !(copy = create(mm->ldt, mm->ldt->count)))
		error = -ENOMEM;
	mutex_unlock(&mm->lock);
	if (!copy)
		return error;
	have = MIN(size, copy->count * sizeof(u64));
	if (copy_to_user(user, copy->entry, have) || clear_user(user + have, size - have))
		error = -EFAULT;
	ldt_free(copy);
	return error ? error : (long)size;
}

static long modify(int function, u64 user, u64 size)
{
	switch (function) {
	case 0:
		return read_ldt(user, size);
	case 1:
		return write_ldt(user, size, true);
	case 2:
		size = MIN(size, DEFAULT_LDT_SIZE);
		return clear_user(user, size) ? -EFAULT : (long)size;
	case 0x11:
		return write_ldt(user, size, false);
	default:
		return -ENOSYS;
	}
}

/* As on Linux the result, and so an error, is an int: the upper half of RAX is 0. */
long sys_modify_ldt(int function, u64 user, u64 size)
{
	return (u32)modify(function, user, size);
}
