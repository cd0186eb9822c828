/*
 * The model's tile registers as components 17 and 18. They are user components that no real XCR0 here has, so the
 * model alone moves them; what the instructions do to them is in amx_ops.c. Whether tile data are in use is not
 * decided by value: silicon does not either (any write puts them in use), and 8 KiB are much to compare.
 */
#include "fpu/soft.h"
#include "kernel/string.h"

static bool tilecfg_save(struct soft_cpu *cpu, u64 *image)
{
	if (!amx_configured(&cpu->tiles))
		return false;
	memcpy(image, &cpu->tiles.config, sizeof(cpu->tiles.config));
	return true;
}

static bool any_value(const struct soft_cpu *cpu, const u64 *image)
{
	return true;
}

/* A bad image is no fault: the configuration becomes initial. Tile data stay as they are in any case. */
static void tilecfg_load(struct soft_cpu *cpu, const u64 *image)
{
	struct amx_config *config = &cpu->tiles.config;

	if (image)
		memcpy(config, image, sizeof(*config));
	if (!image || !config->palette || !amx_config_valid(config))
		memset(config, 0, sizeof(*config));
}

const struct soft_component soft_tilecfg = { tilecfg_save, any_value, tilecfg_load };

static bool tiledata_save(struct soft_cpu *cpu, u64 *image)
{
	if (cpu->tiles.used)
		memcpy(image, cpu->tiles.tile, sizeof(cpu->tiles.tile));
	return cpu->tiles.used;
}

static void tiledata_load(struct soft_cpu *cpu, const u64 *image)
{
	if (image)
		memcpy(cpu->tiles.tile, image, sizeof(cpu->tiles.tile));
	else if (cpu->tiles.used)
		memset(cpu->tiles.tile, 0, sizeof(cpu->tiles.tile));
	cpu->tiles.used = image;
}

const struct soft_component soft_tiledata = { tiledata_save, any_value, tiledata_load };
