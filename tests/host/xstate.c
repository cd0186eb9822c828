/*
 * xstate.c - the layout arithmetic against what real CPUs and emulators said: every table in tests/cpuid is a
 * vector, and none may be there that the list below does not know. The tables' lines are `leaf subleaf eax
 * ebx ecx edx`; sub-leaves that are not in a table are zero.
 */
#include "host.h"

#include <dirent.h>

#include "cpuid_table.h"
#include "fpu/xstate.c"

/* What EBX of leaf 0Dh, sub-leaf 1 is worth on a platform. */
enum ebx { RIGHT, TOO_SMALL, CONSTANT };

/* compact: the true size for all of XCR0 and IA32_XSS. */
static const struct platform {
	const char *name;
	u64 user, supervisor;
	u32 standard, compact;
	enum ebx ebx;
} platforms[] = {
	{ "bochs31-arrow_lake", 0x207, 0x5800, 0xa88, 0x3a0, RIGHT },
	{ "bochs31-corei7_icelake_u", 0x2e7, 0, 0xa88, 0x988, RIGHT },
	{ "bochs31-corei7_skylake_x", 0xe7, 0, 0xa80, 0x980, RIGHT },
	{ "bochs31-ryzen", 0x7, 0, 0x340, 0x340, RIGHT },
	{ "bochs31-sapphire_rapids", 0x602e7, 0x5800, 0x2b00, 0x2a40, TOO_SMALL },
	{ "bochs31-tigerlake", 0x2e7, 0x1800, 0xa88, 0x9b0, RIGHT },
	{ "bochs31-wildcat_lake", 0x207, 0x5800, 0xa88, 0x3a0, RIGHT },
	{ "kvmpvm-host", 0x2e7, 0, 0xa88, 0x988, RIGHT },
	{ "qemu10-max", 0x21f, 0, 0xa88, 0x3c8, CONSTANT },
	{ "qemu10-sapphirerapids", 0x207, 0, 0xa88, 0x348, CONSTANT },
	{ "qemu10-skylake-server", 0x207, 0, 0xa88, 0x348, CONSTANT },
	{ "qemu72-epyc-milan", 0x207, 0, 0xa88, 0x348, CONSTANT },
	{ "qemu72-icelake-server", 0x2e7, 0, 0xa88, 0x988, CONSTANT },
	{ "qemu72-max", 0x21f, 0, 0xa88, 0x3c8, CONSTANT },
	{ "qemu72-max-vendor-intel", 0x21f, 0, 0xa88, 0x3c8, CONSTANT },
	{ "qemu72-skylake-server", 0x2e7, 0, 0xa88, 0x988, CONSTANT },
	{ "silicon-amx", 0x602e7, 0, 0x2b00, 0x2a00, RIGHT },
};

/* "cpuid-NAME.txt" or "cpuid-NAME.reset.txt"; *reset says which. */
static const struct platform *platform_of(const char *file, bool *reset)
{
	for (u32 i = 0; i < ARRAY_SIZE(platforms); i++) {
		char name[100];

		snprintf(name, sizeof(name), "cpuid-%s.txt", platforms[i].name);
		*reset = false;
		if (!strcmp(file, name))
			return &platforms[i];
		snprintf(name, sizeof(name), "cpuid-%s.reset.txt", platforms[i].name);
		*reset = true;
		if (!strcmp(file, name))
			return &platforms[i];
	}
	return NULL;
}

/* Calls check for every table with its layout probed. */
static void each_table(void (*check)(const struct platform *, const struct xstate_layout *, bool reset))
{
	DIR *folder = opendir(CPUID_TABLES);
	struct dirent *entry;
	u32 n = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		struct xstate_layout layout;
		const struct platform *platform;
		bool reset;

		if (entry->d_name[0] == '.')
			continue;
		platform = platform_of(entry->d_name, &reset);
		if (!platform)
			fail_msg("no expectation for %s", entry->d_name);
		read_table(entry->d_name);
		xstate_probe(&layout, table_cpuid);
		check(platform, &layout, reset);
		n++;
	}
	closedir(folder);
	assert_true(n >= 2 * ARRAY_SIZE(platforms) - 2);
}

static void check_components(const struct platform *p, const struct xstate_layout *layout, bool reset)
{
	assert_int_equal(layout->user, p->user);
	assert_int_equal(layout->supervisor, p->supervisor);
	for (u32 i = XF_AVX; i < XF_COUNT; i++) {
		const struct xstate_component *c = &layout->component[i];
		struct cpuid_regs r = table_cpuid(0xd, i);

		assert_int_equal(c->size, r.eax);
		assert_int_equal(c->offset, r.ebx);
		assert_int_equal(c->supervisor, (p->supervisor >> i) & 1);
		assert_int_equal(c->align64, r.ecx >> 1 & 1);
		assert_int_equal(c->xfd, r.ecx >> 2 & 1);
	}
}

/* Fails if a component is missed, or read from the wrong sub-leaf or field. */
static void components(void **state)
{
	each_table(check_components);
}

static void check_sizes(const struct platform *p, const struct xstate_layout *layout, bool reset)
{
	u32 reported = table_cpuid(0xd, 0).ebx;

	assert_int_equal(xstate_standard_size(layout, p->user), p->standard);
	assert_int_equal(table_cpuid(0xd, 0).ecx, p->standard);
	assert_int_equal(reported, xstate_standard_size(layout, reset ? XFM(XF_X87) : p->user));
	assert_int_equal(xstate_compact_size(layout, p->user | p->supervisor), p->compact);
	if (p->ebx == CONSTANT)
		assert_int_equal(layout->reported_compact, p->compact);
	else if (reset)
		assert_int_equal(layout->reported_compact, xstate_compact_size(layout, XFM(XF_X87)));
	else if (p->ebx == RIGHT)
		assert_int_equal(layout->reported_compact, p->compact);
	else
		assert_true(layout->reported_compact < p->compact);
}

/* Fails if a size is not what CPUID reports where it is right, or follows it where it is wrong. */
static void sizes(void **state)
{
	each_table(check_sizes);
}

/* The compacted format as the manual tells it, component by component, from the table itself. */
static void check_compaction(const struct platform *p, const struct xstate_layout *layout, bool reset)
{
	u64 all = p->user | p->supervisor;

	for (u64 set = all;; set = (set - 1) & all) {
		u32 at = 576;

		for (u32 i = 2; i < 63; i++) {
			struct cpuid_regs r = table_cpuid(0xd, i);

			if (!(set >> i & 1))
				continue;
			if (r.ecx & 2)
				at = (at + 63) / 64 * 64;
			assert_int_equal(xstate_compact_offset(layout, XCOMP_COMPACTED | set, i), at);
			at += r.eax;
		}
		assert_int_equal(xstate_compact_size(layout, set), at);
		if (!set)
			break;
	}
}

/* Fails if any subset of components is laid out otherwise than by the rule. */
static void compaction(void **state)
{
	each_table(check_compaction);
}

static void check_offsets(const char *file, u64 xcomp_bv, const u32 expected[][2], u32 n)
{
	struct xstate_layout layout;

	read_table(file);
	xstate_probe(&layout, table_cpuid);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(xstate_compact_offset(&layout, xcomp_bv, expected[i][0]), expected[i][1]);
}

/* Offsets that were measured with the instructions, not computed. */
static void measured_offsets(void **state)
{
	static const u32 bochs[][2] = { { XF_PKRU, 2432 }, { XF_CET_U, 2440 },	 { XF_CET_S, 2456 },
					{ XF_UINTR, 2480 }, { XF_TILECFG, 2560 }, { XF_TILEDATA, 2624 } };
	static const u32 silicon[][2] = { { XF_PKRU, 2432 }, { XF_TILECFG, 2496 }, { XF_TILEDATA, 2560 } };
	static const u32 without_zmm[][2] = { { XF_PKRU, 1408 }, { XF_TILECFG, 1472 }, { XF_TILEDATA, 1536 } };

	check_offsets("cpuid-bochs31-sapphire_rapids.txt", XCOMP_COMPACTED | 0x65ae7, bochs, ARRAY_SIZE(bochs));
	check_offsets("cpuid-silicon-amx.txt", XCOMP_COMPACTED | 0x602e7, silicon, ARRAY_SIZE(silicon));
	check_offsets("cpuid-silicon-amx.txt", XCOMP_COMPACTED | 0x60267, without_zmm, ARRAY_SIZE(without_zmm));
}

/* What XSETBV accepts (manual, volume 1, 13.3). */
static bool xsetbv_accepts(u64 xcr0)
{
	u64 avx512 = xcr0 & 0xe0, bound = xcr0 & 0x18, tiles = xcr0 & 0x60000;

	return xcr0 & 1 && (!(xcr0 & 4) || xcr0 & 2) && (!avx512 || (avx512 == 0xe0 && xcr0 & 4)) &&
	       (!bound || bound == 0x18) && (!tiles || tiles == 0x60000);
}

/* Fails if the result is refused, asks for what was not wanted, or gives up more than it must. */
static void implications(void **state)
{
	u64 all = 0x602ff;

	for (u64 wanted = all;; wanted = (wanted - 1) & all) {
		u64 result = xstate_constrain_xcr0(wanted), best = 0;

		for (u64 set = wanted | 1; set; set = (set - 1) & (wanted | 1))
			if (xsetbv_accepts(set))
				best |= set;
		assert_int_equal(result, best);
		assert_true(xsetbv_accepts(result));
		if (!wanted)
			break;
	}
}

/* A CPU that names components but gives them no size or no place: XSAVE's legacy region lies there. */
static void senseless_subleaves(void **state)
{
	struct xstate_layout layout;

	nlines = 0;
	lines[nlines].leaf = 0xd;
	lines[nlines++].regs = (struct cpuid_regs){ .eax = 0x602e7, .ebx = 0x240, .ecx = 0x2b00 };
	lines[nlines].leaf = 0xd, lines[nlines].subleaf = 2;
	lines[nlines++].regs = (struct cpuid_regs){ .eax = 256, .ebx = 576 };
	lines[nlines].leaf = 0xd, lines[nlines].subleaf = XF_TILEDATA;
	lines[nlines++].regs = (struct cpuid_regs){ .eax = 8192, .ebx = 0, .ecx = 6 };
	xstate_probe(&layout, table_cpuid);
	assert_int_equal(layout.user, XFM_LEGACY | XFM(XF_AVX));
	assert_int_equal(layout.supervisor, 0);
	assert_int_equal(xstate_standard_size(&layout, layout.user), 832);
}

static void check_init_image(const struct platform *p, const struct xstate_layout *layout, bool reset)
{
	u64 all = p->user | p->supervisor;
	u32 size = xstate_compact_size(layout, all);
	struct xsave_area *area = aligned_alloc(XSAVE_ALIGN, ALIGN_UP(size, XSAVE_ALIGN));
	u32 set = 0;

	assert_non_null(area);
	memset(area, 0xff, size);
	xstate_init_image(layout, area, all);
	assert_int_equal(area->fcw, 0x37f);
	assert_int_equal(area->mxcsr, 0x1f80);
	assert_int_equal(area->xstate_bv, 0);
	assert_int_equal(area->xcomp_bv, XCOMP_COMPACTED | all);
	area->fcw = 0, area->mxcsr = area->mxcsr_mask = 0, area->xcomp_bv = 0;
	for (u32 i = 0; i < size; i++)
		set += ((u8 *)area)[i] != 0;
	assert_int_equal(set, 0);
	free(area);
}

/* Fails if the initial image has a byte that is not architecturally initial, PKRU's included. */
static void init_image(void **state)
{
	each_table(check_init_image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(components),	       cmocka_unit_test(sizes),
		cmocka_unit_test(compaction),	       cmocka_unit_test(measured_offsets),
		cmocka_unit_test(implications),	       cmocka_unit_test(senseless_subleaves),
		cmocka_unit_test(init_image),
	};

	return cmocka_run_group_tests_name("xstate", tests, NULL, NULL);
}
