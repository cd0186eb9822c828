/*
 * The kernel's memory: address map, physical pages, heap, kernel stacks. User address spaces are in
 * mm.h.
 *
 *   0000000000001000 - 00007fffffffefff  user
 *   ffff888000000000 -                   direct map of all RAM, never executable
 *   ffffc90000000000 -                   kernel stacks with guard pages
 *   ffffc98000000000 -                   device registers
 *   ffffca0000000000 -                   scattered pages made contiguous (vmap.h)
 *   ffffff0000000000 - ffffff00ffffffff  one page again and again (espfix_init)
 *   ffffffff80000000 -                   kernel image
 */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include "kernel/list.h"
#include "kernel/types.h"

#define PAGE_SIZE 4096ul
#define PAGE_SHIFT 12
#define KERNEL_BASE 0xffffffff80000000ul
#define DIRECT_MAP 0xffff888000000000ul
#define DIRECT_MAP_SLOT 273 /* its index in the top-level table */
#define KSTACK_AREA 0xffffc90000000000ul
#define DEVICE_MAPPINGS 0xffffc98000000000ul
#define VMAP_AREA 0xffffca0000000000ul
#define ESPFIX_AREA 0xffffff0000000000ul
#define ESPFIX_SLOT 256 /* bytes of the page that a CPU has */
#define KSTACK_SIZE 16384ul
#define MAX_TASKS 2048 /* one kernel stack each */

#define PTE_PRESENT BIT(0)
#define PTE_WRITE BIT(1)
#define PTE_USER BIT(2)
#define PTE_NO_CACHE BIT(4)
#define PTE_LARGE BIT(7)
#define PTE_GLOBAL BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000ul

static inline void *phys_to_virt(u64 pa)
{
	return (void *)(pa + DIRECT_MAP);
}

/* va must be in the direct map. */
static inline u64 virt_to_phys(const void *va)
{
	return (u64)va - DIRECT_MAP;
}

/* One for every page of RAM. */
struct page {
	u32 refcount;	/* mappings and other holders; 0 when free */
	u8 order;	/* of the free block that starts here, or of the allocation */
	u8 state;	/* enum page_state */
	u16 objects;	/* heap: objects in use */
	struct list link; /* free list, heap's list of partly used pages, mm's list of tables */
	void *free_object; /* heap: first free object */
};

enum page_state { PAGE_RESERVED, PAGE_USED, PAGE_FREE };

/* Buddy allocator over an array of pages; pure, the caller locks. Host-tested. */
#define BUDDY_ORDERS 11
struct buddy {
	struct page *pages;
	u64 npages, free_pages;
	struct list free[BUDDY_ORDERS];
};

/* All pages start reserved; give them with buddy_add_range. */
void buddy_init(struct buddy *b, struct page *pages, u64 npages);
void buddy_add_range(struct buddy *b, u64 first, u64 end);
/* Index of the first of 2^order pages aligned to their size, or ~0 if there are none. */
u64 buddy_alloc(struct buddy *b, u32 order);
void buddy_free(struct buddy *b, u64 index, u32 order);

/*
 * Finds RAM in the boot information, sets up struct page for it and gives all of it but the kernel
 * image and the boot modules to the allocator. Panics if there is too little.
 */
void page_init(void);

extern struct page *page_array;

static inline struct page *phys_to_page(u64 pa)
{
	return &page_array[pa >> PAGE_SHIFT];
}

static inline u64 page_to_phys(const struct page *page)
{
	return (u64)(page - page_array) << PAGE_SHIFT;
}

static inline void *page_address(const struct page *page)
{
	return phys_to_virt(page_to_phys(page));
}

/* 2^order pages, not cleared, refcount 1; NULL when memory is out. Any context. */
struct page *page_alloc_order(u32 order);
void page_free_order(struct page *page, u32 order);

static inline struct page *page_alloc(void)
{
	return page_alloc_order(0);
}

/* Another holder, one holder less; the last one frees. */
void page_get(struct page *page);
void page_put(struct page *page);

u64 pages_free(void);
u64 pages_total(void);
/* Physical address behind the last page of RAM. */
u64 ram_end(void);

/* Heap: 32 to 4096 bytes from slabs, more from whole pages. NULL when memory is out. Any context. */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *object);
u64 heap_pages(void);
u64 heap_objects(void);

/*
 * Replaces the boot page tables: kernel image with the rights of its segments, all RAM in the direct
 * map (the image's own text and rodata read-only there too), NX everywhere else.
 */
void paging_init(void);
extern u64 *kernel_pml4;

/*
 * The entry for va of a level-n table (1: 4 KiB page, 2: 2 MiB page) below pml4, tables on the way made
 * with alloc_table (NULL: don't make any). NULL if there is none or memory is out. A large page met on
 * the way is returned as it is.
 */
u64 *table_entry(u64 *pml4, u64 va, u32 level, u64 *(*alloc_table)(void *), void *arg);

/* The kernel's own entry for va, made if need be; panics when memory is out. */
u64 *kernel_pte(u64 va);

/* Maps a device's registers uncached; never unmapped. */
volatile void *map_device(u64 pa, u64 size);

/* Kernel stacks, KSTACK_SIZE bytes above as much unmapped space; a stack is named by its top, 0: none left. */
void kstack_init(void);
u64 kstack_alloc(void);
void kstack_free(u64 top);
/* Pages in stacks that wait for their next user. */
u64 kstack_cached_pages(void);
/* True if va lies in the unmapped space below a kernel stack. */
bool kstack_guard_hit(u64 va);

/* Number of mappings that are writable and executable in the tree below pml4; must be 0. */
u64 paging_count_wx(const u64 *pml4);

#endif
