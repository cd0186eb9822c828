/*
 * Tile instructions as where tiles are modelled: each traps, and the kernel executes it. Keep in step with
 * kernel/tiles.c (begin, execute), kernel/exception.c (user_exception) and kernel/xcomp.c (xcomp_first_use). Permission
 * is above fpu/ and is there always. A guest has room for tiles, and its own kernel to be told of #NM.
 */
#include "fpu/cpu.h"
#include "fpu/fpu.h"
#include "fpu/image.h"
#include "fpu/tiles.h"
#include "tests/explore/guests.h"
#include "tests/explore/paths.h"
#include "tests/explore/points.h"
#include "tests/explore/tiles.h"

/* #NM, with IA32_XFD_ERR: interrupts are off from here until it has been read. */
static void trap(void)
{
	this_cpu()->interrupts = false;
	this_cpu()->registers.xfd_err = XFM(XF_TILEDATA);
	fpu_tiles_put();
}

static void first_use(bool starved)
{
	struct task *task = me();
	u64 components = fpu_take_xfd_err(&this_cpu()->fpu);
	bool done;

	this_cpu()->interrupts = true;
	if (components != XFM(XF_TILEDATA))
		fail("I-XFD: IA32_XFD_ERR has lost what #NM was about");
	if (task->guest != NOBODY) {
		guest_call(EVENT_GUEST_LEAVE);
		return;
	}
	task->starved = starved;
	done = fpu_first_use(&task->fpu, components);
	task->starved = false;
	task->room = task->room || (done && !task->fpu.user.bad);
	task->killed = !done;
	if (done == starved)
		fail("a first use %s", done ? "without memory" : "fails");
}

void tile_instruction(enum event event)
{
	struct task *task = me();

	if (!fpu_tiles_get()) {
		task->killed = true;
		return;
	}
	if (this_cpu()->registers.xfd && event != EVENT_RELEASE) {
		trap();
		first_use(event == EVENT_TILE_STARVED);
		return;
	}
	task = my_registers();
	task->logical.of[TILES] = event == EVENT_RELEASE ? 0 : fresh_value();
	this_cpu()->registers.values.of[TILES] = task->logical.of[TILES];
	fpu_tiles_put();
}

void sleep(void)
{
	this_cpu()->interrupts = false;
	fpu_idle(&this_cpu()->fpu);
	if (this_cpu()->registers.values.of[TILES])
		fail("a CPU sleeps with tiles in use");
	this_cpu()->interrupts = true;
}
