/*
 * What the signal code, a debugger's system calls and the handlers of one component do with fpu/standard.h and
 * fpu/update.h. A frame lies in user memory, so that its task has it symbolically; an image lies on the stack while it
 * goes through a door, and what is in it the task has too, for the key. See doors.h.
 */
#include <string.h>

#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/standard.h"
#include "fpu/update.h"
#include "tests/explore/doors.h"
#include "tests/explore/images.h"
#include "tests/explore/paths.h"

#define IMAGE_SIZE (XSAVE_EXTENDED + 2 * 8) /* PKRU, and tile data if there are any */
#define UNWRITTEN 0xaa

union image_buffer {
	struct xsave_area area;
	u8 bytes[IMAGE_SIZE];
};

static bool may_have_tiles(const struct task *task)
{
	return task->room && !task->fpu.user.xfd;
}

static struct door decode(const union image_buffer *image)
{
	struct door door = { .values = { { 0 } } };

	door.values.of[X87] = image_decode(image->area.fcw, FCW_INIT);
	door.values.of[MXCSR] = image_decode(image->area.mxcsr, MXCSR_INIT);
	door.values.of[VECTOR] = image->area.xmm[0][0];
	door.values.of[TILES] = fpu_config.dynamic ? image->area.extended[8] : 0;
	door.pkru = *(const u32 *)image->area.extended;
	return door;
}

static void encode(union image_buffer *image, const struct door *door)
{
	const u8 *v = door->values.of;

	memset(image, 0, sizeof(*image));
	image->area.fcw = image_encode(v[X87], FCW_INIT);
	image->area.mxcsr = image_encode(v[MXCSR], MXCSR_INIT);
	image->area.xmm[0][0] = v[VECTOR];
	image->area.xstate_bv = (v[X87] ? XFM(XF_X87) : 0) | (v[MXCSR] || v[VECTOR] ? XFM(XF_SSE) : 0);
	if (fpu_config.dynamic && v[TILES]) {
		image->area.extended[8] = v[TILES];
		image->area.xstate_bv |= XFM(XF_TILEDATA);
	}
	*(u32 *)image->area.extended = door->pkru;
	image->area.xstate_bv |= door->pkru ? XFM(XF_PKRU) : 0;
}

/* What the door shows must be what the task has, and nothing that is not defined. */
static struct door read_door(struct task *target, enum fpu_event event)
{
	union image_buffer image;
	u32 size = fpu_standard_size();
	struct door door;

	memset(&image, UNWRITTEN, sizeof(image));
	fpu_standard_read(&target->fpu, &image, event);
	door = decode(&image);
	for (u32 c = 0; c < UNGATED; c++)
		if (door.values.of[c] != target->logical.of[c])
			fail("I-READ: the image shows other values than the task's own");
	if (door.pkru != target->pkru)
		fail("I-PKRU: the image shows another PKRU than the task's own");
	if (image.area.xcomp_bv || image.area.unused[0] || image.area.header_reserved[0] ||
	    image.bytes[size - 1] || (size < IMAGE_SIZE && image.bytes[size] != UNWRITTEN))
		fail("I-READ: reserved bytes are not 0, or something was written behind the image");
	return door;
}

static void write_door(struct task *target, const struct door *door, enum fpu_event event)
{
	union image_buffer image;

	encode(&image, door);
	if (fpu_standard_check(&image, fpu_config.xcr0))
		fail("I-IMG: a good image is refused");
	target->exec = true;
	fpu_standard_write(&target->fpu, &image, fpu_config.xcr0, event);
	if (target->fpu.user.fpstate)
		memcpy(&target->logical, &door->values, may_have_tiles(target) ? UNGATED : TILES);
	target->pkru = door->pkru;
	target->exec = false;
}

static void signal(void)
{
	struct task *task = me();
	u8 ungated;

	task->frame = read_door(task, FPU_EV_SIGNAL_FRAME);
	task->handler = task->exec = true;
	fpu_init_state(&task->fpu, PKRU_DEFAULT, FPU_EV_HANDLER);
	ungated = task->logical.of[UNGATED];
	task->logical = (struct values){ .of = { [UNGATED] = ungated } };
	task->pkru = PKRU_DEFAULT;
	task->exec = false;
}

static void sigreturn(void)
{
	struct task *task = me();

	write_door(task, &task->frame, FPU_EV_SIGRETURN);
	task->handler = false;
	task->frame = (struct door){ 0 };
}

/* A debugger, or a task that writes a dump of its own registers. */
static void regset(u32 index)
{
	struct task *task = me(), *target = &world.task[index];
	u8 value = fresh_value();

	task->written = (struct door){ { { value, value, value, may_have_tiles(target) ? value : 0 } }, PKRU_OTHER };
	if (target->pkru == PKRU_OTHER)
		task->written.pkru = PKRU_DEFAULT;
	task->target = (u8)index;
	read_door(target, FPU_EV_REGSET_READ);
	if (target != task)
		write_door(target, &task->written, FPU_EV_REGSET_WRITE);
	task->target = NOBODY;
	task->written = (struct door){ 0 };
}

static void update_ungated(struct task *target, u8 value)
{
	struct fpu_update update;
	u8 *byte = fpu_update_begin(&update, &target->fpu, XF_CET_U);

	if (!byte)
		fail("a component that can't be updated");
	if (*byte != target->logical.of[UNGATED])
		fail("I-READ: the update begins with another value than the task's own");
	target->exec = true;
	*byte = value;
	target->logical.of[UNGATED] = value;
	fpu_update_finish(&update);
	target->exec = false;
}

static void update_pkru(struct task *target, u32 value)
{
	struct fpu_update update;
	u32 *pkru = fpu_update_begin(&update, &target->fpu, XF_PKRU);

	if (*pkru != target->pkru)
		fail("I-PKRU: the update begins with another value than the task's own");
	target->exec = true;
	*pkru = target->pkru = value;
	fpu_update_finish(&update);
	target->exec = false;
}

/* An integer-only task has no other component than PKRU; what was queued before it became one is lost. */
static void change(u32 index, struct door new)
{
	struct task *task = me(), *target = &world.task[index];

	task->written = new;
	task->target = (u8)index;
	if (!world.config.ungated)
		update_pkru(target, task->written.pkru);
	else if (target->fpu.user.fpstate)
		update_ungated(target, task->written.values.of[UNGATED]);
	task->target = NOBODY;
	task->written = (struct door){ 0 };
}

void take_queued(void)
{
	struct task *task = me();

	if (!task->queue)
		return;
	task->queue = false;
	change(this_cpu()->current, task->queued);
}

/* kernel/update.c under its locks, which nothing can come between, decides. */
static void update(u32 index)
{
	struct task *target = &world.task[index];
	struct door new = { .pkru = target->pkru == PKRU_DEFAULT ? PKRU_OTHER : PKRU_DEFAULT };

	new.values.of[UNGATED] = world.config.ungated ? fresh_value() : 0;
	if (target == me()) {
		take_queued();
		change(index, new);
	} else if (target->cpu == NOBODY && !target->trail && !target->queue && target->guest == NOBODY) {
		change(index, new);
	} else {
		target->queued = new;
		target->queue = true;
	}
}

void through_door(enum event event)
{
	if (event == EVENT_SIGNAL)
		signal();
	else if (event == EVENT_SIGRETURN)
		sigreturn();
	else if (event < EVENT_UPDATE_0)
		regset(event - EVENT_REGSET_0);
	else
		update(event - EVENT_UPDATE_0);
}
