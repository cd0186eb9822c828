/*
 * The explored kernel: three places for user tasks, a kernel thread and the idle task on one CPU, each a
 * coroutine that runs the real fpu/ code until there is something to choose.
 */
#ifndef EXPLORE_WORLD_H
#define EXPLORE_WORLD_H

#include "fpu/context.h"
#include "fpu/image.h"
#include "tests/explore/registers.h"

#define USERS 3
#define KTHREAD 3
#define IDLE 4
#define TASKS 5
#define STACK_SIZE 8192

/* What may happen next. Those that end in _0 are followed by one for each further task. */
enum event {
	EVENT_CONTINUE, EVENT_INTERRUPT, EVENT_SWITCH_0, EVENT_ENTER = EVENT_SWITCH_0 + TASKS, EVENT_VECTOR,
	EVENT_UNGATED, EVENT_WRPKRU, EVENT_EXIT, EVENT_SECTION, EVENT_FORK_0, EVENT_EXEC = EVENT_FORK_0 + USERS,
	EVENT_EXEC_INTEGER, EVENT_DIE, EVENT_DAMAGE_0, EVENTS = EVENT_DAMAGE_0 + USERS
};

/* Where the running task is when there is something to choose. */
enum place { IN_USER, IN_KERNEL, AT_POINT, DYING };

enum life { LIFE_FREE, LIFE_BEING_MADE, LIFE_ALIVE };

struct task {
	struct fpu_task fpu; /* first: fpu/ sees only this */
	void *sp;	     /* of its coroutine while it does not run */
	u32 trail;	     /* hash of the points passed since the present system call began; 0: in none */
	u8 life;
	bool exec;	     /* its logical values are about to change */
	bool killed, doomed; /* doomed: its fpstate is damaged, it must not see user mode again */
	struct values logical; /* what the registers must hold in user mode */
	u32 pkru;
};

struct config {
	const char *policy, *intonly; /* intonly NULL: no integer-only tasks; else the last place may have one */
	bool ungated; /* has a component that TS does not gate, and user code changes it */
	bool pkru;    /* user code writes PKRU, and reads its registers only */
	bool damage;  /* fpstates get damaged */
};

struct world {
	struct config config;
	struct task task[TASKS];
	u8 current, place, choice;
	s32 dead; /* task to be freed after the switch, or -1 */
	u32 preempt_count;
	bool interrupts, section;
	u64 options; /* events that may happen now */
};
extern struct world world;
extern u8 stacks[TASKS][STACK_SIZE];

/* The last transition, for the story; and which ones have been taken since somebody cleared this. */
extern struct fpu_step last_step;
extern bool taken[FPU_EVENTS][FPU_STATES][FPU_STATES];

/* The first state: one user task that has just been made. */
void world_start(const struct config *config);

/* Lets a choice happen and runs to the next one. False: something is wrong, world_failure says what. */
bool world_step(enum event choice);
extern char world_failure[256];

/* Must hold at every choice. Calls fail(). */
void check_invariants(void);
void check_exit(void);

/* In a coroutine: ends the run. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
