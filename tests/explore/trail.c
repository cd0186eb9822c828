/* The numbers of trails: a tree, each node found by its parent and the step from there. See trail.h. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/explore/trail.h"

#define MAX_TRAILS (1u << 16)

static struct node {
	u32 point;
	u16 parent, number;
	bool moved;
} nodes[2 * MAX_TRAILS];
static u32 trails = 1;

u16 trail_after(u16 trail, u32 point, bool moved)
{
	u32 at = (trail * 0x9e3779b1u ^ point * 0x85ebca6bu ^ moved) >> 3;

	for (;; at++) {
		struct node *node = &nodes[at % (2 * MAX_TRAILS)];

		if (!node->number) {
			if (trails == MAX_TRAILS) {
				printf("more than %u trails\n", MAX_TRAILS);
				exit(2);
			}
			*node = (struct node){ point, trail, (u16)trails++, moved };
			return node->number;
		}
		if (node->parent == trail && node->point == point && node->moved == moved)
			return node->number;
	}
}
