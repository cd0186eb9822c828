/*
 * A modelled device with one shared work queue, and the PASIDs that it knows processes by. It never asks who runs:
 * what a command may reach is decided by the PASID in it alone, and that is whatever the CPU's register held
 * (IA32_PASID, component XF_PASID). So each address space has a PASID of its own from its first bind until it is
 * gone; a thread gets it at its first ENQCMD, which traps (pasid_populate). Numbers rise, and none is given out
 * while somebody has it.
 *
 * The one operation does nothing but report. The queue is as full as the commands of the running period make it.
 */
#include "fpu/frame.h"
#include "fpu/image.h"
#include "fpu/update.h"
#include "kernel/errno.h"
#include "kernel/mm.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/time.h"
#include "kernel/wq.h"
#include "sched/task.h"

#define PERIOD_NS (4 * NSEC_PER_TICK)

_Static_assert(sizeof(struct tarry_descriptor) == 64 && sizeof(struct tarry_completion) == 32, "DSA's");

struct wq_client {
	struct list link;
	struct mm *mm; /* holds no reference: goes before it */
	u32 pasid;
	struct shared_memory *memory;
	struct tarry_portal *portal; /* its page */
};

/* All below with the lock. */
static struct spinlock lock;
static LIST_HEAD(clients);
static u32 last_pasid;
static u64 strays;
static u64 period, queued; /* the period of the last command; those accepted in it */

static struct wq_client *find(u32 pasid)
{
	struct wq_client *client;

	list_for_each(client, &clients, link)
		if (client->pasid == pasid)
			return client;
	return NULL;
}

u64 wq_strays(void)
{
	return __atomic_load_n(&strays, __ATOMIC_RELAXED);
}

/* --- Commands --- */

static bool reserved_is_zero(const struct tarry_descriptor *command)
{
	for (u32 i = 0; i < ARRAY_SIZE(command->reserved); i++)
		if (command->reserved[i])
			return false;
	return true;
}

static u8 status_of(const struct tarry_descriptor *command)
{
	if (command->operation >> TARRY_WQ_OPCODE != TARRY_WQ_NOOP)
		return TARRY_WQ_BAD_OPCODE;
	if (command->operation & ~(TARRY_WQ_ADDRESS_VALID | TARRY_WQ_REPORT))
		return TARRY_WQ_BAD_FLAGS;
	return reserved_is_zero(command) ? TARRY_WQ_SUCCESS : TARRY_WQ_BAD_RESERVED;
}

/* Into the memory that the PASID means, as that program might write it. False: it could not be. */
static bool report(struct mm *mm, const struct tarry_descriptor *command, u8 status)
{
	struct tarry_completion record = { .status = status };
	bool wanted = command->operation & TARRY_WQ_REPORT;

	if (!(command->operation & TARRY_WQ_ADDRESS_VALID))
		return !wanted;
	if (status == TARRY_WQ_SUCCESS && !wanted)
		return true;
	return !(command->completion % sizeof(record)) &&
	       mm_access_with_keys(mm, command->completion, &record, sizeof(record), true, 0) == sizeof(record);
}

static void perform(struct wq_client *client, const struct tarry_descriptor *command)
{
	u8 status = status_of(command);
	bool reported = report(client->mm, command, status);

	if (status == TARRY_WQ_SUCCESS && reported)
		return;
	spin_lock(&lock);
	client->portal->errors++;
	spin_unlock(&lock);
}

static bool has_room(void)
{
	u64 now = clock_ns() / PERIOD_NS;

	if (now != period)
		queued = 0;
	period = now;
	if (queued == TARRY_WQ_ENTRIES)
		return false;
	queued++;
	return true;
}

bool wq_submit(const struct tarry_descriptor *command)
{
	struct wq_client *client;
	struct mm *mm = NULL;
	bool accepted;

	spin_lock(&lock);
	accepted = has_room();
	client = find(command->pasid);
	if (!client)
		strays += accepted;
	else if (!accepted)
		client->portal->retries++;
	else
		client->portal->commands++;
	if (client && accepted && mm_try_get(client->mm))
		mm = client->mm;
	spin_unlock(&lock);
	if (mm) {
		perform(client, command);
		mm_put(mm);
	}
	return accepted;
}

/* --- Clients --- */

/* NULL when memory is out. */
static struct wq_client *join(struct mm *mm)
{
	struct wq_client *client = kzalloc(sizeof(*client));
	struct shared_memory *memory = client ? shared_create(1) : NULL;
	struct page *page = memory ? page_alloc() : NULL;

	if (!page) {
		if (memory)
			shared_put(memory);
		kfree(client);
		return NULL;
	}
	clear_page(page_address(page));
	memory->pages[0] = page;
	memory->device = true;
	client->mm = mm;
	client->memory = memory;
	client->portal = page_address(page);
	spin_lock(&lock);
	do
		last_pasid = last_pasid % PASID_MASK + 1;
	while (find(last_pasid));
	client->pasid = client->portal->pasid = last_pasid;
	list_add_before(&client->link, &clients);
	spin_unlock(&lock);
	return client;
}

void wq_leave(struct wq_client *client)
{
	if (!client)
		return;
	spin_lock(&lock);
	list_del(&client->link);
	spin_unlock(&lock);
	shared_put(client->memory);
	kfree(client);
}

/* Its address, or -ENOMEM; what is mapped already stays where it is. With mm->lock. */
static long map_portal(struct mm *mm, struct shared_memory *memory)
{
	struct vma *vma;

	list_for_each(vma, &mm->vmas, link)
		if (vma->shared == memory)
			return (long)vma->start;
	vma = vma_create(0, 0, PROT_READ | PROT_WRITE);
	if (!vma)
		return -ENOMEM;
	vma->start = mm_find_free(mm, PAGE_SIZE, MMAP_TOP);
	if (!vma->start) {
		vma_free(vma);
		return -ENOMEM;
	}
	vma->end = vma->start + PAGE_SIZE;
	vma->shared = memory;
	__atomic_fetch_add(&memory->refcount, 1, __ATOMIC_RELAXED);
	vma_insert(mm, vma);
	return (long)vma->start;
}

long sys_pasid_bind(void)
{
	struct mm *mm = current->mm;
	long result = -ENOMEM;

	if (!(fpu_config.xss & XFM(XF_PASID)))
		return -ENODEV;
	if (!fpu_has_registers(&current->fpu))
		return -EINVAL;
	mutex_lock(&mm->lock);
	if (!mm->wq)
		__atomic_store_n(&mm->wq, join(mm), __ATOMIC_RELEASE);
	if (mm->wq)
		result = map_portal(mm, mm->wq->memory);
	mutex_unlock(&mm->lock);
	return result;
}

bool wq_portal_at(u64 address)
{
	struct mm *mm = current->mm;
	u32 keys = fpu_frame_keys();
	struct vma *vma;
	bool portal;

	mutex_lock(&mm->lock);
	vma = mm_find(mm, address);
	portal = vma && vma->shared && vma->shared->device && vma->prot & PROT_WRITE && !(keys >> 2 * vma->pkey & 3);
	mutex_unlock(&mm->lock);
	return portal;
}

bool pasid_populate(void)
{
	struct wq_client *client = __atomic_load_n(&current->mm->wq, __ATOMIC_ACQUIRE);
	struct fpu_update update;
	bool lacks;
	u64 *value;

	if (!client || !(value = fpu_update_begin(&update, &current->fpu, XF_PASID)))
		return false;
	lacks = !(*value & PASID_VALID);
	if (lacks)
		*value = PASID_VALID | client->pasid;
	fpu_update_finish(&update);
	if (lacks)
		this_cpu_count(pasid_populated);
	return lacks;
}
