/*
 * Protection keys: which of the 16 an address space has given out. The rights that go with a key are in PKRU, each
 * thread's own (fpu/). With mm->lock.
 */
#include "fpu/update.h"
#include "fpu/image.h"
#include "kernel/errno.h"
#include "kernel/mm.h"
#include "kernel/syscall.h"
#include "sched/task.h"

#define PKEY_DISABLE_ACCESS 1u
#define PKEY_DISABLE_WRITE 2u
#define PKEY_RIGHTS (PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE)

bool pkey_usable(const struct mm *mm, int key)
{
	return key >= 0 && key < PKEYS && mm->pkeys & BIT(key) && (!key || key != mm->execute_key);
}

/* The first free key from lowest on, which is taken then, or -ENOSPC. */
static int take_key(struct mm *mm, u32 lowest)
{
	int key = __builtin_ctz(~(u32)mm->pkeys >> lowest << lowest);

	if (key >= PKEYS || !fpu_config.pku)
		return -ENOSPC;
	mm->pkeys |= (u16)BIT(key);
	return key;
}

u8 pkey_for(struct mm *mm, u8 key, u8 prot)
{
	int taken;

	if (prot != PROT_EXEC)
		return key == mm->execute_key ? 0 : key;
	if (!mm->execute_key && (taken = take_key(mm, 1)) > 0)
		mm->execute_key = (u8)taken;
	if (mm->execute_key)
		fpu_set_pkey_rights(mm->execute_key, PKEY_DISABLE_ACCESS);
	return mm->execute_key ? mm->execute_key : key;
}

/* A key of its own for the process, with these rights for the caller at once (PKRU). */
long sys_pkey_alloc(u32 flags, u32 rights)
{
	struct mm *mm = current->mm;
	int key;

	if (flags || rights & ~(u32)PKEY_RIGHTS)
		return -EINVAL;
	mutex_lock(&mm->lock);
	key = take_key(mm, 0);
	mutex_unlock(&mm->lock);
	if (key >= 0)
		fpu_set_pkey_rights((u32)key, rights);
	return key;
}

/* As on Linux, pages that carry the key keep it, and key 0 can be given up and got back like any other. */
long sys_pkey_free(int key)
{
	struct mm *mm = current->mm;
	long error = -EINVAL;

	mutex_lock(&mm->lock);
	if (pkey_usable(mm, key)) {
		mm->pkeys &= (u16)~BIT(key);
		error = 0;
	}
	mutex_unlock(&mm->lock);
	return error;
}
