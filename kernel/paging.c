/*
 * The kernel's own page tables. The kernel half is the same in every address space: its top-level
 * entries are made here, once, before the first user address space copies them. No mapping is ever
 * writable and executable.
 */
#include "kernel/cpu.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/string.h"

#define LARGE_PAGE 0x200000ul

extern char text_start[], text_end[], rodata_end[], kernel_end[], kernel_phys_start[];

u64 *kernel_pml4;
struct mm kernel_mm;
static u64 next_device = DEVICE_MAPPINGS;

static u64 *alloc_kernel_table(void *arg)
{
	struct page *page = page_alloc();

	(void)arg;
	if (!page)
		return NULL;
	clear_page(page_address(page));
	return page_address(page);
}

u64 *table_entry(u64 *table, u64 va, u32 level, u64 *(*alloc_table)(void *), void *arg)
{
	for (u32 l = 4; l > level; l--) {
		u64 *entry = &table[va >> (3 + 9 * l) & 511];

		if (!(*entry & PTE_PRESENT)) {
			u64 *new = alloc_table ? alloc_table(arg) : NULL;

			if (!new)
				return NULL;
			*entry = virt_to_phys(new) | PTE_PRESENT | PTE_WRITE | (va < DIRECT_MAP ? PTE_USER : 0);
		}
		if (*entry & PTE_LARGE)
			return entry;
		table = phys_to_virt(*entry & PTE_ADDRESS);
	}
	return &table[va >> (3 + 9 * level) & 511];
}

static u64 *kernel_entry(u64 va, u32 level)
{
	u64 *entry = table_entry(kernel_pml4, va, level, alloc_kernel_table, NULL);

	if (!entry)
		panic("no memory for kernel page tables");
	return entry;
}

u64 *kernel_pte(u64 va)
{
	return kernel_entry(va, 1);
}

static void map_kernel_range(u64 va, u64 end, u64 pa, u64 flags)
{
	for (; va < end; va += PAGE_SIZE, pa += PAGE_SIZE)
		*kernel_pte(va) = pa | flags | PTE_PRESENT | PTE_GLOBAL;
}

static void map_image(const char *start, const char *end, u64 flags)
{
	map_kernel_range((u64)start, (u64)end, (u64)start - KERNEL_BASE, flags);
}

/* All RAM with 2 MiB pages, the block or blocks that hold the kernel image with 4 KiB pages. */
static void map_direct(void)
{
	u64 image_start = ALIGN_DOWN((u64)kernel_phys_start, LARGE_PAGE);
	u64 image_end = ALIGN_UP((u64)kernel_end - KERNEL_BASE, LARGE_PAGE);
	u64 text_pa = (u64)text_start - KERNEL_BASE, rodata_end_pa = (u64)rodata_end - KERNEL_BASE;

	for (u64 pa = 0; pa < ALIGN_UP(ram_end(), LARGE_PAGE); pa += LARGE_PAGE)
		if (pa < image_start || pa >= image_end)
			*kernel_entry(DIRECT_MAP + pa, 2) =
				pa | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_NX | PTE_GLOBAL;
	map_kernel_range(DIRECT_MAP + image_start, DIRECT_MAP + text_pa, image_start, PTE_WRITE | PTE_NX);
	map_kernel_range(DIRECT_MAP + text_pa, DIRECT_MAP + rodata_end_pa, text_pa, PTE_NX);
	map_kernel_range(DIRECT_MAP + rodata_end_pa, DIRECT_MAP + image_end, rodata_end_pa, PTE_WRITE | PTE_NX);
}

char *espfix_page; /* for entry.asm */

/*
 * An IRET to a 16-bit stack segment loads SP alone: the upper half of ESP stays what it was in the kernel. So that it is
 * what the program had, IRET runs on a stack whose address has these bits: any of 65536, each the same page, in which
 * every CPU has its slot (entry.asm).
 */
static void espfix_init(void)
{
	u64 *directory = alloc_kernel_table(NULL), *table = alloc_kernel_table(NULL);

	espfix_page = (char *)alloc_kernel_table(NULL);
	if (!directory || !table || !espfix_page)
		panic("no memory for kernel page tables");
	for (u32 i = 0; i < 512; i++) {
		table[i] = virt_to_phys(espfix_page) | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
		directory[i] = virt_to_phys(table) | PTE_PRESENT | PTE_WRITE;
	}
	for (u64 gigabyte = 0; gigabyte < 4; gigabyte++)
		*kernel_entry(ESPFIX_AREA + (gigabyte << 30), 3) = virt_to_phys(directory) | PTE_PRESENT | PTE_WRITE;
}
_Static_assert(MAX_CPUS * ESPFIX_SLOT <= PAGE_SIZE, "a slot for every CPU");

void paging_init(void)
{
	kernel_pml4 = alloc_kernel_table(NULL);
	map_direct();
	map_image(text_start, text_end, 0);
	map_image(text_end, rodata_end, PTE_NX);
	map_image(rodata_end, kernel_end, PTE_WRITE | PTE_NX);
	espfix_init();
	kstack_init();
	kernel_mm.pml4 = kernel_pml4;
	kernel_mm.cr3 = virt_to_phys(kernel_pml4);
	write_cr3(kernel_mm.cr3);
}

volatile void *map_device(u64 pa, u64 size)
{
	u64 va = next_device;

	size = ALIGN_UP(size + pa % PAGE_SIZE, PAGE_SIZE);
	next_device += size;
	map_kernel_range(va, va + size, ALIGN_DOWN(pa, PAGE_SIZE), PTE_WRITE | PTE_NX | PTE_NO_CACHE);
	return (volatile char *)va + pa % PAGE_SIZE;
}

static u64 count_wx_in(const u64 *table, u32 level, bool writable, bool executable)
{
	u64 n = 0;

	for (u32 i = 0; i < 512; i++) {
		u64 entry = table[i];
		bool w = writable && entry & PTE_WRITE, x = executable && !(entry & PTE_NX);

		if (!(entry & PTE_PRESENT))
			continue;
		if (level == 1 || entry & PTE_LARGE)
			n += w && x;
		else
			n += count_wx_in(phys_to_virt(entry & PTE_ADDRESS), level - 1, w, x);
	}
	return n;
}

u64 paging_count_wx(const u64 *pml4)
{
	return count_wx_in(pml4, 4, true, true);
}
