/*
 * Page faults: memory on first use, copy on write, the growing stack, and what is left over: a signal for
 * the program, or a fix-up for a system call that was given a bad pointer. A fault of the kernel on its own
 * memory, or on user memory outside usercopy.asm, is a bug of the kernel and stops it.
 */
#include "fpu/frame.h"
#include "kernel/errno.h"
#include "kernel/fault.h"
#include "kernel/format.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/mm.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/traps.h"
#include "kernel/vcpu.h"
#include "sched/signal.h"
#include "sched/task.h"

#define STACK_GROWTH_AT_ONCE (16 * PAGE_SIZE)

static struct page *zero_page; /* what a first read maps; one extra holder, so it is never freed */

void fault_init(void)
{
	zero_page = page_alloc();
	clear_page(page_address(zero_page));
}

static bool allowed(const struct vma *vma, u64 error)
{
	if (error & PF_WRITE && vma->shared && vma->shared->device)
		return false;
	if (error & PF_FORCE)
		return !(error & PF_WRITE) || !vma->shared || vma->prot & PROT_WRITE;
	if (error & PF_FETCH)
		return vma->prot & PROT_EXEC;
	return error & PF_WRITE ? vma->prot & PROT_WRITE : vma->prot;
}

/* What the program that runs has set; a new program's stack is made under the old one's. */
static u64 stack_limit(void)
{
	return current->process ? current->process->limits.stack.soft : STACK_LIMIT;
}

/* The area for the address; the stack's is extended downwards if the address is in reach. */
static struct vma *find_or_grow(struct mm *mm, u64 address)
{
	struct vma *vma = mm_find(mm, address), *next;
	u64 start = ALIGN_DOWN(address, STACK_GROWTH_AT_ONCE);

	if (vma)
		return vma;
	list_for_each(next, &mm->vmas, link)
		if (next->start > address)
			break;
	if (&next->link == &mm->vmas || !next->grows_down || next->end - start > stack_limit())
		return NULL;
	if (next->link.prev != &mm->vmas)
		start = MAX(start, list_entry(next->link.prev, struct vma, link)->end);
	next->start = start;
	return next;
}

static struct page *new_page(bool clear)
{
	struct page *page = page_alloc();

	if (page && clear)
		clear_page(page_address(page));
	return page;
}

/* A page of the area's file: its bytes, zeroes behind its end. */
static struct page *file_page(const struct vma *vma, u64 offset)
{
	u64 n = vma->file_size > offset ? MIN(vma->file_size - offset, PAGE_SIZE) : 0;
	struct page *page = new_page(n < PAGE_SIZE);

	if (page)
		memcpy(page_address(page), vma->file + offset, n);
	return page;
}

static struct page *shared_page(const struct vma *vma, u64 offset)
{
	struct page **slot = &vma->shared->pages[vma->shared_page + offset / PAGE_SIZE];
	struct page *page = __atomic_load_n(slot, __ATOMIC_ACQUIRE), *none = NULL;

	if (!page) {
		page = new_page(true);
		if (!page)
			return NULL;
		if (!__atomic_compare_exchange_n(slot, &none, page, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			page_put(page); /* another address space was first */
			page = none;
		}
	}
	page_get(page);
	return page;
}

static u64 write_right(const struct vma *vma)
{
	return allowed(vma, PF_WRITE) ? PTE_WRITE : 0;
}

/* A page that the address space has not seen yet. */
static long first_use(const struct vma *vma, u64 address, u64 error, u64 *pte)
{
	u64 offset = address - vma->start, rights = pte_rights(vma) | write_right(vma);
	struct page *page;

	if (vma->shared) {
		page = shared_page(vma, offset);
	} else if (vma->file && offset < vma->file_size) {
		page = file_page(vma, offset);
	} else if (error & PF_WRITE) {
		page = new_page(true);
	} else {
		page = zero_page;
		page_get(page);
		rights &= ~PTE_WRITE;
	}
	if (!page)
		return -ENOMEM;
	*pte = page_to_phys(page) | rights;
	return 0;
}

/*
 * A write to a page that is there but write-protected: the last holder gets it as it is, others a copy. Threads on
 * other CPUs may read the old page until they are told; only then may it go to somebody else. More rights need
 * no telling: a CPU that does not know of them faults and finds out.
 */
static long copy_on_write(struct mm *mm, const struct vma *vma, u64 address, u64 *pte)
{
	struct page *old = phys_to_page(*pte & PTE_ADDRESS), *page = old;

	if (old->refcount != 1) {
		page = new_page(old == zero_page);
		if (!page)
			return -ENOMEM;
		if (old != zero_page)
			copy_page(page_address(page), page_address(old));
	}
	*pte = (*pte & ~PTE_ADDRESS) | page_to_phys(page) | write_right(vma);
	if (page == old) {
		invlpg(address);
		return 0;
	}
	mm_flush_page(mm, address);
	page_put(old);
	return 0;
}

static long fault_in(struct mm *mm, u64 address, u64 error)
{
	struct vma *vma = find_or_grow(mm, address);
	u64 *pte;

	if (!vma || !allowed(vma, error) || error & PF_PKEY)
		return -EFAULT;
	pte = mm_pte(mm, address);
	if (!pte)
		return -ENOMEM;
	address = ALIGN_DOWN(address, PAGE_SIZE);
	if (!*pte)
		return first_use(vma, address, error, pte);
	if (error & PF_WRITE && !(*pte & PTE_WRITE)) {
		if (!vma->shared)
			return copy_on_write(mm, vma, address, pte);
		*pte |= PTE_WRITE;
	}
	invlpg(address); /* another thread was faster */
	return 0;
}

long mm_fault(struct mm *mm, u64 address, u64 error)
{
	long result;

	if (address < USER_START || address >= USER_END)
		return -EFAULT;
	mutex_lock(&mm->lock);
	result = fault_in(mm, address, error);
	mutex_unlock(&mm->lock);
	return result;
}

/* Within one page, through the kernel's mapping of all memory. With mm->lock. */
static long access_page(struct mm *mm, u64 address, void *buffer, size_t n, u64 access, u32 keys)
{
	bool write = access & PF_WRITE;
	long error = fault_in(mm, address, access);
	u8 *bytes;

	if (error)
		return error;
	if (keys >> 2 * mm_find(mm, address)->pkey & (write ? 3 : 1))
		return -EFAULT;
	bytes = (u8 *)page_address(phys_to_page(*mm_pte(mm, address) & PTE_ADDRESS)) + address % PAGE_SIZE;
	memcpy(write ? bytes : buffer, write ? buffer : bytes, n);
	return 0;
}

static size_t access(struct mm *mm, u64 address, void *buffer, size_t n, u64 access, u32 keys)
{
	size_t done = 0;

	if (address < USER_START || !user_range(address, n))
		return 0;
	mutex_lock(&mm->lock);
	while (done < n) {
		size_t piece = MIN(n - done, PAGE_SIZE - (address + done) % PAGE_SIZE);

		if (access_page(mm, address + done, (u8 *)buffer + done, piece, access, keys))
			break;
		done += piece;
	}
	mutex_unlock(&mm->lock);
	return done;
}

size_t mm_access(struct mm *mm, u64 address, void *buffer, size_t n, bool write)
{
	return access(mm, address, buffer, n, PF_FORCE | (write ? PF_WRITE : 0), 0);
}

size_t mm_access_with_keys(struct mm *mm, u64 address, void *buffer, size_t n, bool write, u32 keys)
{
	return access(mm, address, buffer, n, write ? PF_WRITE : 0, keys);
}

/* What was wrong with the access, for siginfo. */
static void describe(struct siginfo *info, u64 address, u64 error)
{
	struct mm *mm = current->mm;
	struct vma *vma;

	*info = (struct siginfo){ .signo = SIGSEGV, .code = SEGV_MAPERR, .address = address };
	mutex_lock(&mm->lock);
	vma = mm_find(mm, address);
	if (vma && error & PF_PKEY) {
		info->code = SEGV_PKUERR;
		info->pkey = vma->pkey;
	} else if (vma) {
		info->code = SEGV_ACCERR;
	}
	mutex_unlock(&mm->lock);
}

static void log_death(const struct regs *regs, const struct siginfo *info, const char *what)
{
	u64 error = regs->orig_rax;
	char key[32] = "";

	if (info->code == SEGV_PKUERR)
		format_text(key, sizeof(key), " (protection key %u)", info->pkey);
	klog("kill: %s[%d]: %s: %s at %lx%s, error %lx, rip %lx, rsp %lx", current->name, current->tid, what,
	     error & PF_FETCH ? "execute" : error & PF_WRITE ? "write" : "read", info->address, key, error, regs->rip,
	     regs->rsp);
}

static void bad_user_access(struct regs *regs, u64 address, long why)
{
	struct siginfo info;

	if (unlikely(in_guest())) {
		if (why == -ENOMEM)
			vcpu_out_of_memory();
		else
			vcpu_fault(EXC_PAGE_FAULT, regs->orig_rax, address, 0);
		return;
	}
	regs->rflags |= RFLAGS_RF; /* see exception.c */
	describe(&info, address, regs->orig_rax);
	current->signals.trap.vector = EXC_PAGE_FAULT;
	current->signals.trap.error = regs->orig_rax;
	current->signals.trap.address = address;
	if (why == -ENOMEM) {
		log_death(regs, &info, "out of memory");
		signal_kill(SIGKILL);
	} else if (signal_fault(&info)) {
		log_death(regs, &info, "page fault");
	}
}

/* The rights of the address's key, as they are now, forbid it. */
static bool key_forbids(u64 address, u64 error)
{
	struct mm *mm = current->mm;
	u32 keys = fpu_frame_keys();
	struct vma *vma;

	mutex_lock(&mm->lock);
	vma = mm_find(mm, address);
	keys = vma ? keys >> 2 * vma->pkey : 0;
	mutex_unlock(&mm->lock);
	return keys & 1 || (keys & 2 && error & PF_WRITE);
}

bool fault_of_instruction(struct regs *regs, u64 address, u64 error)
{
	long why = mm_fault(current->mm, address, error);

	if (!why && (error & PF_FETCH || !key_forbids(address, error)))
		return false;
	if (!why) {
		error |= PF_PRESENT | PF_PKEY;
		why = -EFAULT;
	}
	regs->orig_rax = error;
	bad_user_access(regs, address, why);
	return true;
}

static void bad_kernel_access(const struct regs *regs, u64 address)
{
	u64 error = regs->orig_rax;

	if (kstack_guard_hit(address))
		panic_regs(regs, "kernel stack overflow at %lx", address);
	if (address < USER_END && error & PF_FETCH && error & PF_PRESENT)
		panic_regs(regs, "kernel executed user memory at %lx (SMEP)", address);
	if (address < USER_END && error & PF_PRESENT)
		panic_regs(regs, "kernel touched user memory at %lx outside usercopy (SMAP)", address);
	panic_regs(regs, "page fault in the kernel: %s at %lx, error %lx",
		   error & PF_FETCH ? "execute" : error & PF_WRITE ? "write" : "read", address, error);
}

/*
 * User code whose instruction touched a present page with supervisor rights: a far return or IRET in QEMU 7.2,
 * which SMAP then refuses. No mapping would make it succeed.
 */
static bool implicit_supervisor_access(const struct regs *regs, u64 error)
{
	return user_mode(regs) && error & PF_PRESENT && !(error & PF_USER);
}

void page_fault(struct regs *regs)
{
	u64 address = read_cr2(), error = regs->orig_rax, fixup = 0;
	long result = -EFAULT;

	if (!user_mode(regs)) {
		fixup = extable_fixup(regs->rip);
		if (!fixup || address >= USER_END)
			bad_kernel_access(regs, address);
	}
	this_cpu->page_faults++;
	if (!this_cpu->preempt_count) {
		irq_enable();
		if (!implicit_supervisor_access(regs, error))
			result = mm_fault(current->mm, address, error);
		if (result && user_mode(regs))
			bad_user_access(regs, address, result);
		irq_disable();
	}
	if (result && fixup)
		regs->rip = fixup;
}
