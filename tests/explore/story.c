/* The explorer's words. See story.h. */
#include <stdio.h>
#include <string.h>

#include "fpu/setup.h"
#include "tests/explore/story.h"

const char *const fpu_state_names[FPU_STATES] = { "NONE", "ACTIVE", "CACHED", "INACTIVE" };
const char *const fpu_event_names[FPU_EVENTS] = {
#define FPU_EVENT(name, text) #name,
#include "fpu/transitions.def"
};

const char *config_name(const struct config *config)
{
	static char name[80];

	snprintf(name, sizeof(name), "%s, %s%s%s", config->policy, config->intonly ? "intonly=" : "no integer-only",
		 config->intonly ? config->intonly : "", config->ungated ? ", ungated" : "");
	return name;
}

static const char *task_name(u32 task)
{
	static char letter[2];

	letter[0] = (char)('A' + task);
	return is_user(task) ? letter : "the kernel task";
}

static void say(enum event event, char *text, size_t size)
{
	static const char *const plain[EVENTS] = {
		[EVENT_CONTINUE] = "goes on",
		[EVENT_INTERRUPT] = "is interrupted; the interrupt runs a kernel FPU section",
		[EVENT_ENTER] = "enters the kernel",
		[EVENT_VECTOR] = "executes a vector instruction and writes its registers",
		[EVENT_UNGATED] = "changes an ungated component",
		[EVENT_WRPKRU] = "writes PKRU",
		[EVENT_EXIT] = "returns to user mode",
		[EVENT_SECTION] = "runs a kernel FPU section",
		[EVENT_EXEC] = "starts a new program",
		[EVENT_EXEC_INTEGER] = "starts an integer-only program",
		[EVENT_DIE] = "ends",
		[EVENT_POWER] = "takes the CPU down or brings it back",
		[EVENT_SIGNAL] = "gets a signal: frame, then handler",
		[EVENT_SIGRETURN] = "returns from its handler",
		[EVENT_TILE] = "executes a tile instruction",
		[EVENT_TILE_STARVED] = "executes its first tile instruction, and memory is out",
		[EVENT_RELEASE] = "executes TILERELEASE",
		[EVENT_IDLE] = "goes to sleep",
		[EVENT_GUEST] = "makes a guest, or deletes it",
		[EVENT_GUEST_ENTER] = "lets the guest run in its place",
		[EVENT_GUEST_LEAVE] = "runs itself again",
		[EVENT_GUEST_XFD] = "changes the guest's XFD",
		[EVENT_FAULT] = "finds the user's memory gone",
		[EVENT_GUEST_INIT] = "makes the guest's registers initial",
	};

	if (plain[event])
		snprintf(text, size, "%s", plain[event]);
	else if (event >= EVENT_UPDATE_0)
		snprintf(text, size, "changes one component of %s, or queues it while that runs", task_name(event - EVENT_UPDATE_0));
	else if (event >= EVENT_REGSET_0)
		snprintf(text, size, "reads and writes the registers of %s", task_name(event - EVENT_REGSET_0));
	else if (event >= EVENT_DAMAGE_0)
		snprintf(text, size, "damages %s's fpstate", task_name(event - EVENT_DAMAGE_0));
	else if (event >= EVENT_FORK_0)
		snprintf(text, size, "makes a child, %s", task_name(event - EVENT_FORK_0));
	else
		snprintf(text, size, "gives way to %s", task_name(event - EVENT_SWITCH_0));
}

static void say_step(void)
{
	if (last_step.site)
		printf("  [%s: %s to %s, %s:%u]", fpu_event_names[last_step.event], fpu_state_names[last_step.from],
		       fpu_state_names[last_step.to], last_step.site->file, last_step.site->line);
	printf("\n");
}

/* Going on is worth a line only if a context changes state. */
static void live(u32 number, struct step step, bool last)
{
	const struct cpu *cpu = &world.cpu[step.cpu];
	char text[80], who[40];

	say((enum event)step.event, text, sizeof(text));
	snprintf(who, sizeof(who), "%s%s", task_name(cpu->current),
		 cpu->place == AT_POINT ? ", inside the kernel," : "");
	last_step.site = NULL;
	world_step(step.cpu, (enum event)step.event);
	if (step.event == EVENT_CONTINUE && !last_step.site && !last)
		return;
	printf("  %3u  ", number);
	if (world.config.cpus > 1)
		printf("CPU %u: ", step.cpu);
	printf("%s %s", who, text);
	say_step();
}

void tell_story(const struct config *config, const struct story *story)
{
	printf("  %s\n", world_failure);
	world_start(config);
	for (u32 i = 0; i < story->steps; i++)
		live(i + 1, story->step[i], i + 1 == story->steps);
}

bool tell_coverage(const char *policy)
{
	static const struct {
		u8 event, from, to;
		const char *policies;
	} table[] = {
#define FPU_TRANSITION(event, from, to, policies, source, reason) { FPU_EV_##event, FPU_##from, FPU_##to, policies },
#include "fpu/transitions.def"
	};
	u32 wanted = 0, missing = 0;

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool ours = strchr(table[i].policies, policy[0]) != NULL;
		bool was = taken[table[i].event][table[i].from][table[i].to];

		wanted += ours;
		missing += ours != was;
		if (ours != was)
			printf("  %s from %s to %s: %s\n", fpu_event_names[table[i].event], fpu_state_names[table[i].from],
			       fpu_state_names[table[i].to], ours ? "never taken" : "taken, but not this policy's");
	}
	printf("  %u of %u transitions taken as the table says\n", wanted - MIN(missing, wanted), wanted);
	printf("%s %s, every transition of the table\n", missing ? "FAIL" : "ok", policy);
	return !missing;
}
