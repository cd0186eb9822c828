/*
 * Guests: a task makes one, in the last place, runs it in its own, changes what a hypercall could change, and deletes
 * it. It is in one task's hand at a time. Keep in step with kernel/vcpu.c (enter, leave, set_xfd, set_fpu, vcpu_delete).
 */
#include "fpu/cpu.h"
#include "fpu/guest.h"
#include "fpu/image.h"
#include "tests/explore/guests.h"

static struct task *the_guest(void)
{
	return &world.task[world.config.users - 1];
}

static void make(void)
{
	struct task *guest = the_guest();

	guest->life = LIFE_BEING_MADE;
	me()->child = (u8)(guest - world.task);
	if (!fpu_guest_create(&guest->fpu))
		fail("out of memory");
	guest->pkru = guest->fpu.user.pkru;
	guest->room = fpu_config.dynamic;
	guest->life = LIFE_GUEST;
	me()->child = NOBODY;
}

/* Registers of any CPU may still hold it. */
static void delete(void)
{
	struct task *guest = the_guest();

	guest->life = LIFE_ENDING;
	fpu_guest_free(&guest->fpu);
	*guest = (struct task){ .cpu = NOBODY, .child = NOBODY, .target = NOBODY, .guest = NOBODY };
}

static void enter(void)
{
	struct task *task = me(), *guest = the_guest();

	this_cpu()->interrupts = false;
	task->guest = (u8)(guest - world.task);
	fpu_guest_enter(&guest->fpu);
	this_cpu()->interrupts = true;
}

static void leave(void)
{
	this_cpu()->interrupts = false;
	fpu_guest_leave();
	me()->guest = NOBODY;
	this_cpu()->interrupts = true;
}

static void set_xfd(struct task *guest)
{
	u64 xfd = guest->fpu.user.xfd ? 0 : fpu_config.dynamic;

	guest->exec = true;
	fpu_guest_set_xfd(&guest->fpu, xfd);
	if (xfd)
		guest->logical.of[TILES] = 0;
	guest->exec = false;
}

static void init(struct task *guest)
{
	guest->exec = true;
	fpu_guest_init(&guest->fpu, fpu_config.xcr0);
	for (u32 c = 0; c < UNGATED; c++)
		guest->logical.of[c] = 0;
	guest->pkru = 0;
	guest->exec = false;
}

void guest_call(enum event event)
{
	struct task *task = me(), *guest = the_guest();

	if (event == EVENT_GUEST_ENTER) {
		enter();
	} else if (event == EVENT_GUEST_LEAVE) {
		leave();
	} else if (event == EVENT_GUEST && guest->life == LIFE_FREE) {
		make();
	} else {
		task->target = task->guest == NOBODY ? (u8)(guest - world.task) : NOBODY;
		if (event == EVENT_GUEST)
			delete();
		else if (event == EVENT_GUEST_XFD)
			set_xfd(guest);
		else
			init(guest);
		task->target = NOBODY;
	}
}
