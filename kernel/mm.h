/*
 * User address spaces: areas (struct vma), their page tables, and what a page fault does. Pages come on
 * first use; fork shares them and copies on the first write.
 */
#ifndef KERNEL_MM_H
#define KERNEL_MM_H

#include "kernel/cpu.h"
#include "kernel/insn.h"
#include "kernel/ldt.h"
#include "kernel/list.h"
#include "kernel/memory.h"
#include "kernel/uaccess.h"
#include "sched/wait.h"

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define PROT_MASK 7

#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_TYPE 0x0f
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_32BIT 0x40
#define MAP_FIXED_NOREPLACE 0x100000

#define PKEYS 16
#define PTE_PKEY_SHIFT 59

#define STACK_TOP (USER_END - (16ul << 20)) /* programs may want the end of user space for themselves */
#define STACK_LIMIT (8ul << 20)
#define MMAP_TOP (STACK_TOP - STACK_LIMIT - (16ul << 20))

/* Memory shared by several address spaces: made by mmap with MAP_SHARED, kept by the areas that map it. */
struct shared_memory {
	u32 refcount;
	u64 npages;
	struct page **pages; /* NULL: not touched yet */
	bool device;	     /* a device's: programs only read it, whatever the rights of their areas (kernel/wq.h) */
};

/* One range of addresses with the same rights and the same backing. */
struct vma {
	u64 start, end;
	u8 prot;
	u8 pkey; /* protection key of all its pages */
	bool grows_down;
	struct shared_memory *shared; /* or NULL; shared_page is the first page's index in it */
	u64 shared_page;
	const u8 *file;	     /* contents of the first file_size bytes, the rest is zero; or NULL */
	u64 file_size;
	struct list link;
};

struct mm {
	u64 *pml4;
	u64 cr3;
	volatile u64 cpu_mask; /* CPUs whose CR3 holds it: the user's own, or borrowed by a task without memory */
	u32 users;
	struct mutex lock;   /* covers all below and the page tables' user half */
	struct list vmas;    /* by address */
	struct vma *last;    /* found last; a hint */
	struct list tables;  /* pages of page tables, freed with the address space */
	u64 brk_start, brk;
	struct ldt *ldt;     /* or NULL */
	struct wq_client *wq; /* what it is to the work queue (kernel/wq.h), or NULL */
	u8 execute_key;	     /* of what is mapped with PROT_EXEC alone, or 0; nobody can free or use it */
	u16 pkeys;	     /* allocated protection keys; an address space begins with key 0 */
};

/* The kernel half alone: what a CPU holds that has nothing else to hold. */
extern struct mm kernel_mm;

/* An empty address space, or NULL. The caller holds the only reference. */
struct mm *mm_create(void);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
/* A reference to one that others may have given up, but that is still there. False: they have. */
bool mm_try_get(struct mm *mm);

/* A copy for fork; private pages of both become copy-on-write. NULL when memory is out. */
struct mm *mm_fork(struct mm *mm);

/*
 * Loads its page tables, if the CPU has not got them. Interrupts off. The CPU is in the mask from before its first
 * look at the tables, and until it has left them; clearing its bit is the last it does to the old ones. The local
 * descriptor table is another's until ldt_switch.
 */
static inline void mm_switch(struct mm *mm)
{
	struct mm *old = this_cpu->mm;
	u64 id;

	if (old == mm)
		return;
	id = this_cpu->id;
	asm volatile("lock btsq %1, %0" : "+m"(mm->cpu_mask) : "r"(id) : "memory");
	this_cpu->mm = mm;
	write_cr3(mm->cr3);
	asm volatile("lock btrq %1, %0" : "+m"(old->cpu_mask) : "r"(id) : "memory");
}

/* Calls fn(arg) on every CPU that holds its page tables, interrupts off. Interrupts on, no spin lock held. */
void mm_on_cpus(struct mm *mm, void (*fn)(void *arg), void *arg);

/* No CPU knows the page at address any more. Interrupts on, no spin lock held. */
void mm_flush_page(struct mm *mm, u64 address);

/*
 * Adds an area. start and end are page-aligned and inside user space; what is there goes away. file or NULL
 * as in struct vma. 0, -ENOMEM.
 */
long mm_map(struct mm *mm, u64 start, u64 end, u8 prot, const u8 *file, u64 file_size);

/* Room for n bytes below limit, or 0. With mm->lock. */
u64 mm_find_free(struct mm *mm, u64 size, u64 limit);
struct vma *mm_find(struct mm *mm, u64 address);

/* Takes all pages and areas out of [start, end). With mm->lock. 0, -ENOMEM (an area had to be split). */
long mm_unmap(struct mm *mm, u64 start, u64 end);

/*
 * Makes the page at address present for an access (error: page-fault error code bits). 0; -EFAULT: no such
 * access is allowed; -ENOMEM.
 */
long mm_fault(struct mm *mm, u64 address, u64 error);

/*
 * Copies n bytes between the kernel and an address space that may be another task's, as a debugger does: whatever the
 * rights of the areas and the protection keys say, but that a write to a private page makes it the address space's own,
 * and one to a shared page that must not be written fails. Returns how many bytes were copied. May sleep.
 */
size_t mm_access(struct mm *mm, u64 address, void *buffer, size_t n, bool write);
/* The same as the program itself might do it, with keys in PKRU. */
size_t mm_access_with_keys(struct mm *mm, u64 address, void *buffer, size_t n, bool write, u32 keys);

/* With mm->lock: new areas and page-table entries (vma.c, for the system calls). */
struct vma *vma_create(u64 start, u64 end, u8 prot);
void vma_insert(struct mm *mm, struct vma *vma);
void vma_free(struct vma *vma);
/* The area boundaries at start and end become real; 0, or -ENOMEM and neither does. */
long vma_split_range(struct mm *mm, u64 start, u64 end);
/* Joins neighbours in [start, end] that differ in nothing. */
void vma_merge(struct mm *mm, u64 start, u64 end);
/* A new area gets the rights and the backing of another. */
void vma_share_backing(struct vma *vma, const struct vma *from);
void vma_set_backing_offset(struct vma *vma, u64 offset);

/* Drops the present pages of a range; the areas stay. */
void mm_zap(struct mm *mm, u64 start, u64 end);
/* Gives the pages of a range other addresses, where there are none: 0, or -ENOMEM and nothing has moved. */
long mm_move_pages(struct mm *mm, u64 from, u64 to, u64 size);
/* Gives the present pages of a range the rights of their area after a change of prot. */
void mm_reprotect(struct mm *mm, const struct vma *vma);
/* The level-1 entry for va, its tables made if need be; NULL when memory is out. */
u64 *mm_pte(struct mm *mm, u64 va);
u64 pte_rights(const struct vma *vma);

/* True if pkey_alloc has given out the key. With mm->lock, like the next one. */
bool pkey_usable(const struct mm *mm, int key);
/* The key for an area of the current address space that has key and gets prot, as mmap and mprotect choose it. */
u8 pkey_for(struct mm *mm, u8 key, u8 prot);

struct shared_memory *shared_create(u64 npages);
void shared_put(struct shared_memory *shared);

#endif
