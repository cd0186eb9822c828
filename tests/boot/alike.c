/*
 * alike - whichever way a component of the extended state was written, every way of reading shows the same: XRSTOR and
 * XSAVE, WRPKRU and RDPKRU, a signal's frame, the update call, a child's registers. Initial, default and any other
 * value are told apart. Catches: a door that writes where another does not look (museum entry 27), a value whose bit is
 * not set (29), the default taken for the initial value (26); a door by which a program gets at what is the kernel's.
 */
#include "components.h"
#include "signals.h"

enum { BY_XSAVE, BY_FRAME, BY_UPDATE, BY_INSTRUCTION, BY_CHILD, WAYS };
static const char *const ways[] = { "XSAVE or XRSTOR", "a frame", "update", "an instruction", "a child" };

static struct image image, *shared;
static uint8_t *value, *found;
static uint32_t component;

/* --- The ways in; a value of zeros is the initial one --- */

static int is_initial(void)
{
	for (uint32_t i = 0; i < component_size(component); i++)
		if (value[i])
			return 0;
	return 1;
}

static void put_in(struct image *to)
{
	memcpy(component_in(to, component), value, component_size(component));
	to->xstate_bv &= ~(1ul << component);
	if (!is_initial())
		to->xstate_bv |= 1ul << component;
}

static void edit(int signal, struct info *info, struct context *uc)
{
	put_in((struct image *)uc->fpstate);
	note(signal, info, uc);
}

static void write_by(int way)
{
	if (way == BY_FRAME) {
		set_handler(SIGUSR1, edit, 0, 0);
		raise(SIGUSR1);
	} else if (way == BY_UPDATE) {
		EXPECT_EQ(set(0, component, value, NULL), 0);
	} else if (way == BY_INSTRUCTION) {
		wrpkru(*(uint32_t *)value);
	} else {
		memset(&image, 0, sizeof(image));
		put_in(&image);
		xrstor(&image, 1ul << component);
	}
}

/* --- The ways out --- */

static void get_from(struct image *from)
{
	memset(found, 0, component_size(component));
	if (from->xstate_bv >> component & 1)
		memcpy(found, component_in(from, component), component_size(component));
}

static void look(int signal, struct info *info, struct context *uc)
{
	get_from((struct image *)uc->fpstate);
	note(signal, info, uc);
}

static void save(struct image *to)
{
	memset(to, 0, sizeof(*to));
	xsave(to, 1ul << component);
}

static void show_parent(void)
{
	save(shared);
}

static void read_by(int way)
{
	if (way == BY_FRAME) {
		set_handler(SIGUSR1, look, 0, 0);
		raise(SIGUSR1);
	} else if (way == BY_UPDATE) {
		EXPECT_EQ(set(0, component, NULL, found), 0);
	} else if (way == BY_INSTRUCTION) {
		*(uint64_t *)found = rdpkru();
	} else if (way == BY_CHILD) {
		EXPECT_EQ(ktap_child(show_parent), 0);
		get_from(shared);
	} else {
		save(&image);
		get_from(&image);
	}
}

/* --- All of them --- */

static int possible(int way)
{
	return (way != BY_INSTRUCTION || component == PKRU) && (way != BY_UPDATE || on_tarry());
}

static void compare(int in, int out)
{
	memset(found, 0xee, VALUE_SIZE);
	write_by(in);
	read_by(out);
	if (memcmp(found, value, component_size(component)))
		FAIL("component %u, written by %s, read by %s: %lx, not %lx", component, ways[in], ways[out],
		     *(uint64_t *)found, *(uint64_t *)value);
}

static void every_way(void)
{
	for (int in = 0; in < BY_CHILD; in++)
		for (int out = 0; out < WAYS; out++)
			if (possible(in) && possible(out))
				compare(in, out);
}

static void test_ways(void)
{
	for (component = AVX; component < PASID; component++) {
		if (!(user_components() & 0x2e4 & 1ul << component))
			continue;
		for (uint32_t seed = 0; seed < 3; seed++) {
			memset(value, 0, VALUE_SIZE);
			if (seed)
				make_value(value, component, seed);
			if (seed == 2 && component == PKRU)
				*(uint64_t *)value = PKRU_DEFAULT;
			every_way();
		}
	}
	if (has_pkeys())
		wrpkru(PKRU_DEFAULT);
}

/* --- What is the kernel's --- */

static const uint32_t kernels[] = { PASID, CET_U };

static long read_kernels(int which)
{
	return set(0, kernels[which], NULL, found);
}

static int has_value(int which)
{
	make_value(value, kernels[which], 9);
	return !read_kernels(which) && !memcmp(found, value, component_size(kernels[which]));
}

static int has_none(int which)
{
	return !read_kernels(which) && !((uint64_t *)found)[0] && !(kernels[which] == CET_U && ((uint64_t *)found)[1]);
}

static volatile int in_handler;

/* Nothing but x87 and SSE is to come back; and the bits of the kernel's components are not a program's to set. */
static void cut_frame(int signal, struct info *info, struct context *uc)
{
	sw_of(uc)->magic1 = 0;
	in_handler = read_kernels(0) || has_value(0);
	note(signal, info, uc);
}

static void expect_none(void)
{
	for (int i = 0; i < 2; i++)
		EXPECT(read_kernels(i) || has_none(i));
}

static void test_kernels(void)
{
	char *argv[] = { "alike", "--fresh", NULL };
	int status = -1, any = 0;

	if (!on_tarry() || !debug_allowed())
		SKIP("needs debug on Tarry's command line");
	for (int i = 0; i < 2; i++) {
		make_value(value, kernels[i], 9);
		any |= !set(0, kernels[i], value, NULL);
	}
	if (!any)
		SKIP("no supervisor components here");
	set_handler(SIGUSR1, cut_frame, 0, 0);
	raise(SIGUSR1);
	EXPECT(in_handler);
	component = AVX;
	write_by(BY_XSAVE);
	for (int i = 0; i < 2; i++)
		EXPECT(read_kernels(i) || has_value(i));
	EXPECT_EQ(ktap_child(expect_none), 0);
	if (!fork()) {
		execve((const char *)getauxval(AT_EXECFN), argv, environ);
		exit(99);
	}
	wait4(-1, &status, 0);
	EXPECT_EQ(status, 0);
	for (int i = 0; i < 2; i++)
		set(0, kernels[i], memset(value, 0, VALUE_SIZE), NULL);
}

/* A program may play the kernel only where that was asked for. */
static void test_permission(void)
{
	if (!on_tarry() || debug_allowed())
		SKIP("needs Tarry without debug on the command line");
	for (int i = 0; i < 2; i++) {
		long result = read_kernels(i);

		EXPECT(result == -EPERM || result == -EINVAL);
	}
}

static const struct ktap_test tests[] = {
	{ "written and read in every way", test_ways },
	{ "what is the kernel's stays so", test_kernels },
	{ "and is not for programs", test_permission },
};

int main(int argc, char **argv)
{
	shared = (struct image *)mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	value = (uint8_t *)mmap(NULL, 2 * VALUE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	found = value + VALUE_SIZE;
	if (argc > 1 && strcmp(argv[1], "--fresh") == 0) {
		expect_none();
		return ktap_failed != 0;
	}
	return ktap_run(tests, (int)ARRAY_SIZE(tests));
}
