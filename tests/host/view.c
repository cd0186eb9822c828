/*
 * view.c - the live screen's picture: each state's letters and colours, what breaks the rule of fpu/context.h is on
 * red and said in words, and nothing is drawn outside whatever the numbers of CPUs and contexts.
 */
#include "host.h"

#include "fpu/xstate.c"
#include "kernel/format.c"
#include "kernel/view.c"

static u16 picture[VIEW_ROWS][VIEW_COLUMNS];

void copy_string(char *dst, const char *src, size_t size)
{
	snprintf(dst, size, "%s", src);
}

/* Two CPUs; task 5 runs ACTIVE on CPU 0, task 6 is CACHED on CPU 1, task 7 INACTIVE, task 8 integer-only. */
static struct view sample(void)
{
	struct view v = { .ncpus = 2, .ncontexts = 4, .features = XFM_LEGACY | XFM(XF_AVX) | XFM(XF_PKRU),
			  .policy = "deferred" };
	static const char *const names[] = { "five", "six", "seven", "eight" };

	for (u32 i = 0; i < v.ncontexts; i++) {
		v.context[i] = (struct view_context){ .tid = 5 + (int)i, .load_flag = i != 0, .last_cpu = FPU_NO_CPU,
						      .in_use = XFM(XF_SSE) };
		copy_string(v.context[i].name, names[i], sizeof(v.context[i].name));
	}
	v.context[0].last_cpu = 0;
	v.context[1].last_cpu = v.context[1].home = 1;
	v.context[3].integer_only = true;
	v.cpu[0] = (struct view_cpu){ .judged = true, .owner = 0, .runs = 0 };
	v.cpu[1] = (struct view_cpu){ .judged = true, .owner = 1, .runs = VIEW_NOBODY };
	return v;
}

static char letter(u16 cell)
{
	return (char)cell;
}

static bool red(u16 cell)
{
	return cell >> 8 == WRONG;
}

/* The text of a row, without its attributes. */
static const char *row_text(u32 row)
{
	static char text[VIEW_COLUMNS + 1];

	for (u32 i = 0; i < VIEW_COLUMNS; i++)
		text[i] = letter(picture[row][i]);
	return text;
}

static bool shows(const char *text)
{
	bool found = false;

	for (u32 i = 0; i < VIEW_ROWS; i++)
		found |= !!strstr(row_text(i), text);
	return found;
}

static void states(void **state)
{
	struct view v = sample();

	assert_int_equal(view_state(&v, 0), FPU_ACTIVE);
	assert_int_equal(view_state(&v, 1), FPU_CACHED);
	assert_int_equal(view_state(&v, 2), FPU_INACTIVE);
	assert_int_equal(view_state(&v, 3), FPU_NONE);
	v.cpu[1].owner = VIEW_KERNEL; /* others have used the registers */
	assert_int_equal(view_state(&v, 1), FPU_INACTIVE);
	v = sample();
	v.cpu[0].runs = 1; /* it came to another CPU */
	assert_int_equal(view_state(&v, 1), FPU_INACTIVE);
}

/* Small letters for what is initial in memory; what an ACTIVE one has there does not count. */
static void letters_of_contexts(void **state)
{
	struct view v = sample();

	assert_int_equal(letter(view_cell_of_context(&v, 0, XF_AVX)), 'A');
	assert_int_equal(letter(view_cell_of_context(&v, 1, XF_SSE)), 'C');
	assert_int_equal(letter(view_cell_of_context(&v, 1, XF_AVX)), 'c');
	assert_int_equal(letter(view_cell_of_context(&v, 2, XF_SSE)), 'I');
	assert_int_equal(letter(view_cell_of_context(&v, 2, XF_X87)), 'i');
	assert_int_equal(letter(view_cell_of_context(&v, 3, XF_SSE)), '-');
	assert_int_equal(letter(view_cell_of_context(&v, 0, XF_PKRU)), 'A');
	assert_int_equal(letter(view_cell_of_context(&v, 1, XF_PKRU)), 'I'); /* CACHED, but it does not run */
	assert_int_not_equal(view_cell_of_context(&v, 0, XF_SSE) >> 8, view_cell_of_context(&v, 1, XF_SSE) >> 8);
}

static void letters_of_cpus(void **state)
{
	struct view v = sample();

	assert_int_equal(view_cell_of_cpu(&v, 0, XF_SSE), view_cell_of_context(&v, 0, XF_SSE));
	assert_int_equal(letter(view_cell_of_cpu(&v, 1, XF_PKRU)), '.');
	v.cpu[1].owner = VIEW_KERNEL;
	assert_int_equal(letter(view_cell_of_cpu(&v, 1, XF_SSE)), 'K');
	v.cpu[1].owner = VIEW_INITIAL;
	assert_int_equal(letter(view_cell_of_cpu(&v, 1, XF_SSE)), 'i');
	v.cpu[1].owner = 2; /* the name of one that has given them up */
	assert_int_equal(letter(view_cell_of_cpu(&v, 1, XF_SSE)), 'x');
	v.cpu[1].owner = VIEW_OTHER;
	assert_int_equal(letter(view_cell_of_cpu(&v, 1, XF_SSE)), 'x');
}

static void expect_wrong(const struct view *v, u32 context, const char *words)
{
	assert_string_equal(view_violation(v, context), words);
	assert_true(red(view_cell_of_context(v, context, XF_SSE)));
	view_draw(v, picture);
	assert_true(shows(words));
}

static void violations(void **state)
{
	struct view v = sample();

	for (u32 i = 0; i < v.ncontexts; i++)
		assert_null(view_violation(&v, i));
	v.cpu[0].owner = VIEW_NOBODY;
	expect_wrong(&v, 0, "ACTIVE, but the registers are not its own");
	v = sample();
	v.context[0].last_cpu = 1;
	v.cpu[1].owner = 0;
	expect_wrong(&v, 0, "ACTIVE, but the registers are not its own");
	v = sample();
	v.cpu[0].ts = true;
	expect_wrong(&v, 0, "ACTIVE with CR0.TS set");
	v = sample();
	v.cpu[0].runs = VIEW_NOBODY;
	expect_wrong(&v, 0, "ACTIVE, but it does not run");
	v = sample();
	v.context[1].expected = FPU_INACTIVE;
	expect_wrong(&v, 1, "its transition says another state than the rule");
}

/* A CPU in the middle of a verb breaks the rule for a moment: it is not for us to say. */
static void not_judged(void **state)
{
	struct view v = sample();

	v.cpu[0].owner = VIEW_NOBODY;
	v.cpu[0].judged = false;
	assert_null(view_violation(&v, 0));
	view_draw(&v, picture);
	for (u32 i = 0; i < VIEW_ROWS; i++)
		for (u32 at = 0; at < VIEW_COLUMNS; at++)
			assert_false(red(picture[i][at]));
}

/* The sanitizers watch the edges; every context is drawn or counted. */
static void any_size(void **state)
{
	struct view v;

	for (u32 cpus = 1; cpus <= VIEW_CPUS; cpus++)
		for (u32 contexts = 0; contexts <= VIEW_CONTEXTS; contexts++) {
			u32 drawn = 0, more = 0;

			v = sample();
			v.ncpus = cpus;
			v.ncontexts = contexts;
			v.features = BIT(XF_COUNT) - 1;
			for (u32 i = 0; i < contexts; i++)
				v.context[i] = (struct view_context){ "a long name", 100 + (int)i, .load_flag = true, .last_cpu = (s32)i };
			memset(v.step, 'x', sizeof(v.step));
			for (u32 i = 0; i < VIEW_STEPS; i++)
				v.step[i][VIEW_COLUMNS - 1] = 0;
			view_draw(&v, picture);
			for (u32 i = 0; i < VIEW_ROWS; i++) {
				drawn += !!strstr(row_text(i), "INACTIVE") || !!strstr(row_text(i), "CACHED");
				sscanf(row_text(i), "    and %u more", &more);
			}
			assert_int_equal(drawn + more, contexts);
		}
}

static void held(void **state)
{
	struct view v = sample();

	view_draw(&v, picture);
	assert_false(shows("HELD"));
	assert_true(shows("policy deferred"));
	v.waits = true;
	snprintf(v.step[0], VIEW_COLUMNS, "the newest");
	view_draw(&v, picture);
	assert_true(shows("HELD"));
	assert_non_null(strstr(row_text(VIEW_ROWS - 2), "the newest"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),     cmocka_unit_test(letters_of_contexts), cmocka_unit_test(letters_of_cpus),
		cmocka_unit_test(violations), cmocka_unit_test(not_judged),	     cmocka_unit_test(any_size),
		cmocka_unit_test(held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
