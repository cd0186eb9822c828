/* What the explorer tells: names, the story that leads to a failure, and which transitions were taken. */
#ifndef EXPLORE_STORY_H
#define EXPLORE_STORY_H

#include "tests/explore/world.h"

struct step {
	u8 cpu, event;
};

struct story {
	struct step *step;
	u32 steps;
};

const char *config_name(const struct config *config);

/* Lives a story that ends in a failure once more, one event a line. */
void tell_story(const struct config *config, const struct story *story);

/* False if a transition of the policy was never taken, or one that is not the policy's was. */
bool tell_coverage(const char *policy);

#endif
