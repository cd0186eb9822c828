/* See view.h. Decides what is where and how it looks; never asks the machine. */
#include "kernel/format.h"
#include "kernel/string.h"
#include "kernel/view.h"

#define GREY 0x07
#define BRIGHT 0x0f
#define DARK 0x08
#define TITLE 0x70
#define WRONG 0x4f /* white on red */
#define CELLS_AT 38
#define CELLS_WIDTH (VIEW_COLUMNS - CELLS_AT)
#define WIDEST_CELL 6
#define FEATURES 64
#define LEGEND "A in registers, C both, I memory; small: initial value; K kernel's; x nobody's"

/* Of contexts, by their place: neighbours differ; dark ones for values that are in memory only. */
static const u8 colours[] = { 0x0a, 0x0e, 0x0b, 0x0d, 0x09, 0x0c };

static u16 with(u8 attribute, char letter)
{
	return (u16)(attribute << 8 | (u8)letter);
}

static u8 colour(u32 context)
{
	return colours[context % ARRAY_SIZE(colours)];
}

/* The CPU that runs it; VIEW_NOBODY. */
static s32 running_on(const struct view *view, u32 context)
{
	for (u32 i = 0; i < view->ncpus; i++)
		if (view->cpu[i].runs == (s32)context)
			return (s32)i;
	return VIEW_NOBODY;
}

static bool valid(const struct view *view, u32 context)
{
	s32 cpu = view->context[context].last_cpu;

	return cpu >= 0 && cpu < (s32)view->ncpus && view->cpu[cpu].owner == (s32)context;
}

enum fpu_state view_state(const struct view *view, u32 context)
{
	const struct view_context *c = &view->context[context];
	s32 cpu = running_on(view, context);

	if (c->integer_only)
		return FPU_NONE;
	if (!c->load_flag)
		return FPU_ACTIVE;
	return valid(view, context) && (cpu < 0 || cpu == c->last_cpu) ? FPU_CACHED : FPU_INACTIVE;
}

const char *view_violation(const struct view *view, u32 context)
{
	const struct view_context *c = &view->context[context];
	s32 cpu = running_on(view, context);

	if (c->integer_only || c->home < 0 || c->home >= (s32)view->ncpus || !view->cpu[c->home].judged)
		return NULL;
	if (c->expected != FPU_NONE && c->expected != view_state(view, context))
		return "its transition says another state than the rule";
	if (c->load_flag)
		return NULL;
	if (cpu < 0)
		return "ACTIVE, but it does not run";
	if (!valid(view, context) || c->last_cpu != cpu)
		return "ACTIVE, but the registers are not its own";
	return view->cpu[cpu].ts ? "ACTIVE with CR0.TS set" : NULL;
}

u16 view_cell_of_context(const struct view *view, u32 context, u32 feature)
{
	static const char letters[FPU_STATES] = { '-', 'A', 'C', 'I' };
	enum fpu_state state = view_state(view, context);
	bool runs = running_on(view, context) >= 0;
	char letter = letters[state];

	if (view_violation(view, context))
		return with(WRONG, letter);
	if (feature == XF_PKRU) /* switched at once, whatever the state */
		return with(runs ? colour(context) : DARK, runs ? 'A' : 'I');
	if (state != FPU_ACTIVE && state != FPU_NONE && !(view->context[context].in_use & BIT(feature)))
		letter |= 0x20;
	return with(state == FPU_INACTIVE || state == FPU_NONE ? DARK : colour(context), letter);
}

u16 view_cell_of_cpu(const struct view *view, u32 cpu, u32 feature)
{
	const struct view_cpu *c = &view->cpu[cpu];
	s32 owner = feature == XF_PKRU ? c->runs : c->owner;

	if (owner == VIEW_KERNEL)
		return with(BRIGHT, 'K');
	if (owner == VIEW_INITIAL)
		return with(GREY, 'i');
	if (owner < 0)
		return with(DARK, owner == VIEW_NOBODY ? '.' : 'x');
	if (feature == XF_PKRU)
		return with(colour((u32)owner), 'A');
	if (view->context[owner].last_cpu != (s32)cpu)
		return with(DARK, 'x');
	return view_cell_of_context(view, (u32)owner, feature);
}

/* Text in one attribute, cut at the end of the row. */
static void put_text(u16 *row, u32 at, u8 attribute, const char *text)
{
	for (; *text && at < VIEW_COLUMNS; at++, text++)
		row[at] = with(attribute, *text);
}

static void blank(u16 *row, u8 attribute)
{
	for (u32 i = 0; i < VIEW_COLUMNS; i++)
		row[i] = with(attribute, ' ');
}

static void put_title(u16 *row, const char *text)
{
	blank(row, TITLE);
	put_text(row, 1, TITLE, text);
}

static u32 cell_width(u64 features)
{
	u32 count = 0;

	for (; features; features &= features - 1)
		count++;
	return count ? MIN(CELLS_WIDTH / count, WIDEST_CELL) : WIDEST_CELL;
}

static void put_names(const struct view *view, u16 *row, const char *left)
{
	u32 at = CELLS_AT, width = cell_width(view->features);
	char name[WIDEST_CELL];

	put_text(row, 0, GREY, left);
	for (u32 i = 0; i < FEATURES; i++) {
		if (!(view->features & BIT(i)))
			continue;
		copy_string(name, xstate_name(i), width);
		put_text(row, at, GREY, name);
		at += width;
	}
}

static void put_cells(const struct view *view, u16 *row, u16 (*cell)(const struct view *, u32, u32), u32 index)
{
	u32 at = CELLS_AT, width = cell_width(view->features);

	for (u32 i = 0; i < FEATURES; i++) {
		if (!(view->features & BIT(i)))
			continue;
		row[at] = cell(view, index, i);
		at += width;
	}
}

static void put_whose(const struct view *view, u16 *row, u32 at, s32 whose)
{
	static const char *const nobody[] = { "nobody", "the kernel", "initial image", "another" };
	char text[24];

	if (whose < 0) {
		put_text(row, at, GREY, nobody[-whose - 1]);
		return;
	}
	format_text(text, sizeof(text), "%s %d", view->context[whose].name, view->context[whose].tid);
	put_text(row, at, colour((u32)whose), text);
}

static void draw_cpu(const struct view *view, u16 *row, u32 i)
{
	const struct view_cpu *cpu = &view->cpu[i];
	char text[8];

	format_text(text, sizeof(text), "%u", i);
	put_text(row, 0, BRIGHT, text);
	if (cpu->runs == VIEW_NOBODY)
		put_text(row, 4, GREY, "kernel thread");
	else
		put_whose(view, row, 4, cpu->runs);
	put_whose(view, row, 19, cpu->owner);
	put_text(row, 33, BRIGHT, cpu->in_kernel ? "sec" : cpu->ts ? "TS" : "");
	put_cells(view, row, view_cell_of_cpu, i);
}

static void draw_context(const struct view *view, u16 *row, u32 i)
{
	static const char *const names[FPU_STATES] = { "integer-only", "ACTIVE", "CACHED", "INACTIVE" };
	const struct view_context *c = &view->context[i];
	char text[16];

	format_text(text, sizeof(text), "%d", c->tid);
	put_text(row, 0, BRIGHT, text);
	put_text(row, 4, colour(i), c->name);
	put_text(row, 19, view_violation(view, i) ? WRONG : GREY, names[view_state(view, i)]);
	if (c->last_cpu >= 0) {
		format_text(text, sizeof(text), "CPU %d", c->last_cpu);
		put_text(row, 32, GREY, text);
	}
	put_cells(view, row, view_cell_of_context, i);
}

/* How many transitions there is room for, if some contexts are to be seen. */
static u32 steps_shown(const struct view *view)
{
	return MIN(VIEW_STEPS, VIEW_ROWS - 6 - view->ncpus);
}

/* The last transitions, what is wrong, and the keys. */
static void draw_end(const struct view *view, u16 screen[VIEW_ROWS][VIEW_COLUMNS])
{
	const u32 steps = steps_shown(view);
	const char *wrong = NULL;
	char text[VIEW_COLUMNS];

	for (u32 i = 0; i < view->ncontexts && !wrong; i++) {
		wrong = view_violation(view, i);
		if (wrong)
			format_text(text, sizeof(text), "%s %d: %s", view->context[i].name, view->context[i].tid, wrong);
	}
	for (u32 i = 0; i < steps; i++)
		put_text(screen[VIEW_ROWS - 2 - i], 0, i ? DARK : BRIGHT, view->step[i]);
	put_text(screen[VIEW_ROWS - 2 - steps], 0, wrong ? WRONG : DARK, wrong ? text : LEGEND);
	put_title(screen[VIEW_ROWS - 1], view->waits ?
		  "HELD after the last transition: space goes to the next one, c goes on, q closes" :
		  "p holds the machine at the next transition (on the console: Ctrl-T)");
}

void view_draw(const struct view *view, u16 screen[VIEW_ROWS][VIEW_COLUMNS])
{
	const u32 end = VIEW_ROWS - 2 - steps_shown(view); /* the first row that is not for CPUs and contexts */
	char text[VIEW_COLUMNS];
	u32 row = 1, left;

	for (u32 i = 0; i < VIEW_ROWS; i++)
		blank(screen[i], GREY);
	format_text(text, sizeof(text), "Tarry, policy %s   %lu transitions: %lu saves, %lu loads, %lu avoided",
		    view->policy, view->transitions, view->saves, view->loads, view->avoided);
	put_title(screen[0], text);
	put_names(view, screen[row++], "CPU runs           registers of");
	for (u32 i = 0; i < view->ncpus && row < end; i++)
		draw_cpu(view, screen[row++], i);
	if (row + 1 < end)
		put_names(view, screen[row++], "tid task           state        last");
	left = view->hidden;
	for (u32 i = 0; i < view->ncontexts; i++) {
		if (row < end - 1 || (row < end && i + 1 == view->ncontexts && !left))
			draw_context(view, screen[row++], i);
		else
			left++;
	}
	if (left && row < end) {
		format_text(text, sizeof(text), "and %u more", left);
		put_text(screen[row], 4, DARK, text);
	}
	draw_end(view, screen);
}
