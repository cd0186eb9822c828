/*
 * The live screen: collects the facts for view.c at transitions and shows the picture on VGA, with view=console in the
 * upper rows of the terminal at COM1, too, with view=key there once somebody types Ctrl-T. Held by a key, the machine
 * stops after each transition until the next key: the CPU where it happened waits here, and holds the others where they
 * are, by NMI. Keys come from the keyboard's controller and, while held, from COM1; both are asked, for interrupts are
 * off. Nothing here changes what it shows. What another CPU is in the middle of is not judged.
 */
#include "fpu/image.h"
#include "fpu/policy.h"
#include "fpu/setup.h"
#include "fpu/trace.h"
#include "kernel/ansi.h"
#include "kernel/bootinfo.h"
#include "kernel/format.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/screen.h"
#include "kernel/serial.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/vga.h"
#include "kernel/view.h"
#include "sched/task.h"

#define KEYBOARD_DATA 0x60
#define KEYBOARD_STATUS 0x64
#define STATUS_FULL 0x01
#define STATUS_MOUSE 0x20
#define SCAN_P 0x19
#define SCAN_C 0x2e
#define SCAN_SPACE 0x39
#define CTRL_T 0x14

#define REDRAW_TICKS 20 /* not held: so often */
#define TOO_SMALL "The live screen needs a larger terminal: ./run-qemu.sh --view says how large.\r\n"

bool screen_on;
static bool on_console, traced_before;
static enum { NEVER, BEGINS, SAYS_TOO_SMALL } first_key; /* what Ctrl-T does while there is no live screen */
static volatile bool held;    /* stop at the next transition */
static volatile bool waiting; /* for a key, after one */
static volatile u8 typed; /* what another CPU's interrupt took from COM1 before that CPU was held */
static struct spinlock lock;
static struct view view;
static const struct fpu_context *shown[VIEW_CONTEXTS]; /* whose facts are where; compared only */
static bool stale; /* there were transitions since the last picture */
static struct fpu_counters since; /* of all CPUs when the screen was opened */
static u16 on_terminal[VIEW_ROWS][VIEW_COLUMNS];

static s32 place_of(const void *owner)
{
	if (!owner)
		return VIEW_NOBODY;
	if (owner == fpu_kernel_owner || owner == fpu_init_owner)
		return owner == fpu_kernel_owner ? VIEW_KERNEL : VIEW_INITIAL;
	for (u32 i = 0; i < view.ncontexts; i++)
		if (shown[i] == owner)
			return (s32)i;
	return VIEW_OTHER;
}

static void collect_context(const struct task *task, const struct fpu_context *context)
{
	struct view_context *c = &view.context[view.ncontexts];
	bool parked = context != task->fpu.active;

	if (view.ncontexts == VIEW_CONTEXTS) {
		view.hidden++;
		return;
	}
	shown[view.ncontexts++] = context;
	*c = (struct view_context){ .tid = task->tid, .integer_only = !context->fpstate,
				    .load_flag = parked || task->flags & TASK_NEED_FPU_LOAD,
				    .home = (s32)task->cpu, .last_cpu = context->last_cpu };
	format_text(c->name, sizeof(c->name), "%s%s", context->guest ? "guest of " : "", task->name);
	if (context->fpstate)
		c->in_use = context->fpstate->xstate_bv;
}

static void collect_task(struct task *task, void *arg)
{
	if (!task->fpu.active)
		return;
	collect_context(task, &task->fpu.user);
	if (task->fpu.active != &task->fpu.user)
		collect_context(task, task->fpu.active);
}

static void collect_cpu(const struct cpu *cpu, bool judged)
{
	struct view_cpu *c = &view.cpu[cpu->id];
	const struct fpu_context *active = cpu->current_task->fpu.active;

	*c = (struct view_cpu){ .judged = judged, .in_kernel = cpu->fpu.in_kernel, .ts = cpu->fpu.ts,
				.owner = place_of(cpu->fpu.owner), .runs = active ? place_of(active) : VIEW_NOBODY };
	view.saves += cpu->fpu.counters.saves;
	view.loads += cpu->fpu.counters.loads;
	view.avoided += cpu->fpu.counters.loads_avoided;
}

/* False while somebody on the way is changing the table of tasks: then the picture stays as it is. */
static bool collect(const struct fpu_cpu *here, const struct fpu_context *context, const struct fpu_step *step)
{
	if (!try_set_bit0(&task_lock.locked))
		return false;
	view.ncontexts = view.hidden = 0;
	view.saves = -since.saves;
	view.loads = -since.loads;
	view.avoided = -since.loads_avoided;
	tasks_for_each(collect_task, NULL);
	view.ncpus = ncpus;
	for (u32 i = 0; i < ncpus; i++)
		collect_cpu(cpus[i], here == &cpus[i]->fpu);
	for (u32 i = 0; i < view.ncontexts; i++)
		if (context && shown[i] == context)
			view.context[i].expected = step->to;
	spin_release(&task_lock);
	return true;
}

static void note_step(const struct fpu_step *step)
{
	const char *file = step->site->file;

	if (file[0] == '.') /* a header's name begins with ./ */
		file += 2;
	memmove(view.step[1], view.step[0], sizeof(view.step) - sizeof(view.step[0]));
	format_text(view.step[0], sizeof(view.step[0]), "%6lu CPU %d %-10s %-13s %s to %s  %s:%u", ++view.transitions,
		    step->cpu, current->name, fpu_event_names[step->event], fpu_state_names[step->from],
		    fpu_state_names[step->to], file, step->site->line);
}

/* A key that means something here, or 0. */
static char key(void)
{
	u8 status = inb(KEYBOARD_STATUS), scan, byte;

	if (status != 0xff && status & STATUS_FULL) {
		scan = inb(KEYBOARD_DATA);
		if (!(status & STATUS_MOUSE))
			return scan == SCAN_P ? 'p' : scan == SCAN_C ? 'c' : scan == SCAN_SPACE ? ' ' : 0;
	}
	byte = typed;
	typed = 0;
	if (waiting && (byte || serial_read(COM1, &byte)))
		return byte == CTRL_T ? 'c' : byte == '\r' ? ' ' : (char)byte;
	return 0;
}

static void draw(void)
{
	static u16 picture[VIEW_ROWS][VIEW_COLUMNS];
	static char out[1024];
	size_t n;

	view.waits = held;
	view_draw(&view, picture);
	vga_show(picture[0]);
	while (on_console && (n = ansi_changes(on_terminal[0], picture[0], VIEW_ROWS * VIEW_COLUMNS, out, sizeof(out))))
		console_write(out, n);
	stale = false;
}

/* Transitions are no longer shown; the terminal is not told. */
static void end(void)
{
	screen_on = false;
	fpu_tracing = traced_before;
	vga_give_back();
}

static void wait_for_key(void)
{
	char c;

	waiting = true;
	smp_hold_others(true);
	while ((c = key()) != ' ' && c != 'c' && c != 'q')
		cpu_relax();
	held = c == ' ';
	waiting = false;
	smp_hold_others(false);
	if (c == 'q') {
		end();
		if (on_console)
			console_write(ANSI_GIVE_BACK, sizeof(ANSI_GIVE_BACK) - 1);
	}
}

void screen_transition(const struct fpu_cpu *cpu, const struct fpu_context *context, const struct fpu_step *step)
{
	spin_acquire(&lock);
	note_step(step);
	stale = true;
	if (held) {
		collect(cpu, context, step);
		draw();
		wait_for_key();
	}
	spin_release(&lock);
}

/* Nothing is judged: the CPU may be in the middle of a verb, but for the interrupt. */
void screen_tick(void)
{
	if (!try_set_bit0(&lock.locked))
		return;
	if (key() == 'p')
		held = true;
	if (stale && !(this_cpu->ticks % REDRAW_TICKS) && collect(NULL, NULL, NULL))
		draw();
	spin_release(&lock);
}

static void begin(void)
{
	since = (struct fpu_counters){ 0 };
	for (u32 i = 0; i < ncpus; i++) {
		since.saves += cpus[i]->fpu.counters.saves;
		since.loads += cpus[i]->fpu.counters.loads;
		since.loads_avoided += cpus[i]->fpu.counters.loads_avoided;
	}
	view.transitions = 0;
	memset(view.step, 0, sizeof(view.step));
	vga_take();
	if (on_console)
		console_write(ANSI_TAKE, sizeof(ANSI_TAKE) - 1);
	memset(on_terminal, 0, sizeof(on_terminal));
	traced_before = fpu_tracing;
	screen_on = fpu_tracing = true;
}

bool screen_key(u8 byte)
{
	if (!waiting && (byte != CTRL_T || first_key == NEVER))
		return false;
	if (first_key == SAYS_TOO_SMALL) {
		console_write(TOO_SMALL, sizeof(TOO_SMALL) - 1);
		return true;
	}
	if (!screen_on)
		begin();
	if (waiting)
		typed = byte;
	held = true;
	return true;
}

void screen_init(void)
{
	bool by_key;

	if (!boot_flag("view"))
		return;
	view.policy = fpu_policy.name;
	view.features = fpu_config.features;
	held = boot_option_is("view", "held");
	first_key = boot_option_is("view", "small") ? SAYS_TOO_SMALL : BEGINS;
	by_key = first_key == SAYS_TOO_SMALL || boot_option_is("view", "key");
	on_console = by_key || boot_option_is("view", "console");
	if (!by_key)
		begin();
}

/* What still writes to the terminal then has no lock. */
void screen_give_back(void)
{
	if (!screen_on)
		return;
	end();
	if (on_console)
		serial_write(COM1, ANSI_GIVE_BACK, sizeof(ANSI_GIVE_BACK) - 1);
}
