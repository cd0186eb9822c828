/* Guests' contexts; see guest.h. Ownership follows by the ordinary verbs: nothing here touches owner or last_cpu. */
#include "fpu/buffers.h"
#include "fpu/door.h"
#include "fpu/guest.h"
#include "fpu/switch.h"

bool fpu_guest_create(struct fpu_task *guest)
{
	*guest = (struct fpu_task){
		.own_flags = TASK_NEED_FPU_LOAD, .active = &guest->user,
		.user = { .fpstate = fpu_fpstate_alloc(fpu_config.mask), .pkru = PKRU_DEFAULT,
			  .xfd = fpu_config.dynamic, .guest = true },
	};
	if (!guest->user.fpstate)
		return false;
	fpu_context_born(&guest->user);
	return true;
}

void fpu_guest_free(struct fpu_task *guest)
{
	u64 flags = irq_save();

	fpu_death(guest);
	irq_restore(flags);
	fpu_free(guest);
}

/*
 * As fpu_switch_out and fpu_switch_in do it for two tasks. The load flag is right for either context: it is set once the
 * one before is saved, or was not in the registers alone (museum entry 37).
 */
static void change_to(struct fpu_context *next, enum fpu_event event, const struct fpu_site *site)
{
	struct fpu_task *task = fpu_current();
	struct fpu_context *context = task->active;

	if (context->fpstate)
		fpregs_copy_to_memory_at(fpu_this_cpu(), task, event, site);
	else
		fpu_intonly_disturb(task);
	if (fpu_config.pku)
		context->pkru = rdpkru();
	task->active = next;
	fpu_switch_in(task);
}

void fpu_guest_enter(struct fpu_task *guest)
{
	change_to(&guest->user, FPU_EV_VCPU_ENTER, FPU_SITE);
}

void fpu_guest_leave(void)
{
	change_to(&fpu_current()->user, FPU_EV_VCPU_EXIT, FPU_SITE);
}

static bool is_entered(const struct fpu_task *guest)
{
	return fpu_current()->active == &guest->user;
}

/*
 * Memory is the kernel's to write then. Whether the registers have the only copy is asked of the facts, never
 * predicted (museum entry 38). With fpregs_lock.
 */
static void open_guest(struct fpu_task *guest)
{
	u64 flags;

	if (!is_entered(guest)) {
		fpu_door_open(guest, FPU_EV_UPDATE_ONE);
		return;
	}
	flags = irq_save();
	fpregs_move_to_memory(fpu_this_cpu(), fpu_current(), FPU_EV_UPDATE_ONE);
	irq_restore(flags);
}

static void close_guest(struct fpu_task *guest)
{
	fpu_door_close(is_entered(guest) ? fpu_current() : guest);
}

/* Saved under the old XFD, loaded under the new. */
void fpu_guest_set_xfd(struct fpu_task *guest, u64 xfd)
{
	struct fpu_context *context = &guest->user;

	fpregs_lock();
	open_guest(guest);
	context->xfd = xfd & fpu_config.dynamic;
	context->fpstate->xstate_bv &= ~context->xfd;
	if (is_entered(guest))
		fpu_set_xfd(fpu_this_cpu(), context->xfd);
	close_guest(guest);
	fpregs_unlock();
}

void fpu_guest_init(struct fpu_task *guest, u64 components)
{
	fpregs_lock();
	open_guest(guest);
	guest->user.fpstate->xstate_bv &= ~(components & fpu_config.xcr0);
	close_guest(guest);
	if (fpu_config.pku && components & XFM(XF_PKRU)) {
		guest->user.pkru = 0;
		if (is_entered(guest))
			wrpkru(0);
	}
	fpregs_unlock();
}
