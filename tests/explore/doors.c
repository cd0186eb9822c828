/*
 * What the signal code, a debugger's system calls and the handlers of one component do with fpu/standard.h and
 * fpu/update.h. An image lies on the stack while it goes through a door, and what is in it the task has too, for the
 * key. See doors.h.
 */
#include <string.h>

#include "fpu/frame.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "fpu/standard.h"
#include "fpu/update.h"
#include "tests/explore/doors.h"
#include "tests/explore/frames.h"
#include "tests/explore/images.h"
#include "tests/explore/paths.h"

#define IMAGE_SIZE (TILES_OFFSET + 8)
#define UNWRITTEN 0xaa

union image_buffer {
	struct xsave_area area;
	u8 bytes[IMAGE_SIZE];
};

static bool may_have_tiles(const struct task *task)
{
	return task->room && !task->fpu.user.xfd;
}

struct door door_decode(const void *bytes)
{
	const union image_buffer *image = bytes;
	struct door door = { .values = { { 0 } } };

	door.values.of[X87] = image_decode(image->area.fcw, FCW_INIT);
	door.values.of[MXCSR] = image_decode(image->area.mxcsr, MXCSR_INIT);
	door.values.of[VECTOR] = image->area.xmm[0][0];
	door.values.of[TILES] = fpu_config.dynamic ? image->bytes[TILES_OFFSET] : 0;
	door.pkru = *(const u32 *)(image->bytes + PKRU_OFFSET);
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
		image->bytes[TILES_OFFSET] = v[TILES];
		image->area.xstate_bv |= XFM(XF_TILEDATA);
	}
	*(u32 *)(image->bytes + PKRU_OFFSET) = door->pkru;
	image->area.xstate_bv |= door->pkru ? XFM(XF_PKRU) : 0;
}

/* What a door or a frame shows must be what the task has. */
static void check_shown(const struct task *target, const struct door *door)
{
	for (u32 c = 0; c < UNGATED; c++)
		if (door->values.of[c] != target->logical.of[c])
			fail("I-READ: the image shows other values than the task's own");
	if (door->pkru != target->pkru)
		fail("I-PKRU: the image shows another PKRU than the task's own");
}

/* And nothing that is not defined. */
static struct door read_door(struct task *target, enum fpu_event event)
{
	union image_buffer image;
	u32 size = fpu_standard_size();
	struct door door;

	memset(&image, UNWRITTEN, sizeof(image));
	fpu_standard_read(&target->fpu, &image, event);
	door = door_decode(&image);
	check_shown(target, &door);
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

/* The running task's values have become those of what it returns to, or initial ones. */
static void takes(struct task *task, const struct door *door)
{
	memcpy(&task->logical, &door->values, may_have_tiles(task) ? UNGATED : TILES);
	task->pkru = door->pkru;
}

/* sched/sigframe.c, sigframe_push. A frame that can't be written leaves everything as it was. */
static void signal(void)
{
	struct task *task = me();
	u64 address = frame_begin();
	void *image = fpu_has_registers(&task->fpu) ? fpu_frame_make(&task->fpu) : NULL;
	u32 keys = fpu_frame_open_keys(&task->fpu);

	if (image && fpu_frame_write(address, image)) {
		fpu_frame_close_keys(&task->fpu, keys);
		fpu_frame_free(image);
		frame_end();
		return;
	}
	fpu_frame_free(image);
	task->frame = image ? frame_decode() : (struct door){ .pkru = keys };
	check_shown(task, &task->frame);
	task->handler = task->exec = true;
	fpu_frame_handler(&task->fpu);
	takes(task, &(struct door){ .pkru = PKRU_DEFAULT });
	task->exec = false;
}

/* sys_rt_sigreturn. A frame that can't be read leaves initial values. */
static void sigreturn(void)
{
	struct task *task = me();
	struct door door = task->frame;
	void *image = NULL;

	fpu_frame_open_keys(&task->fpu);
	if (task->fpu.user.fpstate && fpu_frame_read((u64)frames[this_cpu()->current].user, &image))
		door = (struct door){ .pkru = PKRU_DEFAULT };
	task->exec = true;
	fpu_frame_return(&task->fpu, image, door.pkru);
	fpu_frame_free(image);
	takes(task, &door);
	task->handler = task->exec = false;
	task->frame = (struct door){ 0 };
	frame_end();
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
