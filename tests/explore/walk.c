/*
 * Each walk has a seed of its own, so it can be walked again alone. Walks differ in what they leave alone and in how
 * long a CPU goes on before another does: if all were equally likely, nothing would ever be undisturbed for long, and
 * what needs that would not be found. A walk that ends in a failure is shortened: steps
 * are left out, many at a time and then fewer, as long as what remains still fails. See walk.h.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/explore/story.h"
#include "tests/explore/walk.h"

#define LENGTH 5000

static struct step steps[LENGTH], shorter[LENGTH];

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d >> 16;
}

/* One of the bits that are set. */
static enum event pick(u64 options, u64 random)
{
	for (u32 skip = (u32)(random % (u64)__builtin_popcountl(options)); skip; skip--)
		options &= options - 1;
	return (enum event)__builtin_ctzl(options);
}

/* Each of the events that a walk can do without, with an even chance. */
static u64 left_alone(u64 random)
{
	static const u8 events[] = { EVENT_INTERRUPT, EVENT_SECTION, EVENT_EXEC, EVENT_EXEC_INTEGER, EVENT_DIE };
	u64 alone = 0;

	for (u32 i = 0; i < ARRAY_SIZE(events); i++)
		alone |= random >> i & 1 ? BIT(events[i]) : 0;
	return alone;
}

/* The number of steps up to a failure, or 0. */
static u32 walk_once(const struct config *config, u64 seed)
{
	u64 random = (seed + 1) * 0x9e3779b97f4a7c15, alone, options;
	u32 stay = 1u << 2 * (next_random(&random) % 4);
	u8 cpu = 0;

	alone = left_alone(next_random(&random));
	world_start(config);
	for (u32 i = 0; i < LENGTH; i++) {
		if (!(next_random(&random) % stay))
			cpu = (u8)(next_random(&random) % config->cpus);
		options = world_options(cpu);
		options = options & ~alone ? options & ~alone : options;
		steps[i] = (struct step){ cpu, (u8)pick(options, next_random(&random)) };
		if (!world_step(cpu, (enum event)steps[i].event))
			return i + 1;
	}
	return 0;
}

/* Walks shorter again, passing over steps that are not possible; what was really done stays. */
static u32 walk_shorter(const struct config *config, u32 n)
{
	u32 done = 0;

	world_start(config);
	for (u32 i = 0; i < n; i++) {
		if (!(world_options(shorter[i].cpu) & BIT(shorter[i].event)))
			continue;
		shorter[done++] = shorter[i];
		if (!world_step(shorter[i].cpu, (enum event)shorter[i].event))
			return done;
	}
	return 0;
}

/* Leaves out so many steps from there. True if the rest still fails. */
static bool leave_out(const struct config *config, u32 *n, u32 from, u32 count)
{
	u32 end = MIN(from + count, *n), fails;

	memcpy(shorter, steps, from * sizeof(*steps));
	memcpy(shorter + from, steps + end, (*n - end) * sizeof(*steps));
	fails = walk_shorter(config, *n - (end - from));
	if (!fails)
		return false;
	memcpy(steps, shorter, fails * sizeof(*steps));
	*n = fails;
	return true;
}

static u32 shorten(const struct config *config, u32 n)
{
	for (u32 count = n / 2; count; count /= 2)
		for (u32 from = 0; from < n;)
			if (!leave_out(config, &n, from, count))
				from += count;
	return n;
}

static void tell_walk(const struct config *config, u64 seed, u32 n)
{
	struct story story = { steps, shorten(config, n) };

	tell_story(config, &story);
	printf("  %s; SEED=%lu goes there, in %u steps\n", config_name(config), seed, n);
}

/* The seed decides all of it. */
static struct config config_of(u64 seed)
{
	static const char *const policies[] = { "deferred", "eager", "lazy" };
	static const char *const modes[] = { NULL, "init", "ts" };
	struct config config = { .policy = policies[seed % 3], .intonly = modes[seed / 3 % 3], .cpus = CPUS_MAX,
				 .users = USERS_MAX, .suspended = USERS_MAX, .every_point = true };

	config.ungated = seed / 9 & 1;
	config.pkru = seed / 18 & 1;
	config.power = seed / 36 & 1;
	config.signals = seed / 72 & 1;
	config.debugger = seed / 144 & 1;
	config.damage = seed / 288 & 1 && !config.signals && !config.debugger; /* its values can't be right */
	config.load = seed / 288 & 1;
	config.queue = config.debugger;
	config.tiles = seed / 576 & 1;
	return config;
}

static bool time_left(const struct walks *walks, u32 done, time_t start)
{
	return walks->count ? done < walks->count : time(NULL) - start < (time_t)walks->seconds;
}

bool walk(const struct walks *walks)
{
	time_t start = time(NULL);
	u32 done = 0, failed = 0;

	for (; !failed && time_left(walks, done, start); done++) {
		struct config config = config_of(walks->seed + done);

		failed = walk_once(&config, walks->seed + done);
		if (failed)
			tell_walk(&config, walks->seed + done, failed);
	}
	printf("  %u walks of %u steps, %u CPUs, %u contexts, SEED=%lu\n", done, LENGTH, CPUS_MAX, USERS_MAX,
	       walks->seed);
	printf("%s walks\n", failed ? "FAIL" : "ok");
	return !failed;
}
