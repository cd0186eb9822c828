/* What the explorer tells: names, the story that leads to a failure, and which transitions were taken. */
#ifndef EXPLORE_STORY_H
#define EXPLORE_STORY_H

#include "tests/explore/world.h"

/* How a state was first reached. */
struct origin {
	u32 from;
	u8 event;
};

const char *config_name(const struct config *config);

/* Lives the way to a state once more, then the event that went wrong, one event a line. */
void tell_story(const struct config *config, const struct origin *origin, u32 state, enum event last);

/* False if a transition of the policy was never taken, or one that is not the policy's was. */
bool tell_coverage(const char *policy);

#endif
