/*
 * The explored kernel: places for user tasks and a kernel task for each CPU, which stands for idle and for kernel
 * threads. Each task is a coroutine that runs the real fpu/ code until there is something to choose: which CPU
 * goes on, and with what.
 */
#ifndef EXPLORE_WORLD_H
#define EXPLORE_WORLD_H

#include "fpu/context.h"
#include "tests/explore/registers.h"

#define CPUS_MAX 4
#define USERS_MAX 7 /* so that the events fit into the bits of a word */
#define KERNEL_TASK(cpu) (USERS_MAX + (cpu))
#define TASKS (USERS_MAX + CPUS_MAX)
#define NOBODY 0xff
#define PKRU_OTHER 0x55555550 /* what user code writes instead of the default */

/* What may happen next on a CPU. Those that end in _0 are followed by one for each further task. */
enum event {
	EVENT_CONTINUE, EVENT_INTERRUPT, EVENT_SWITCH_0, EVENT_ENTER = EVENT_SWITCH_0 + TASKS, EVENT_VECTOR,
	EVENT_UNGATED, EVENT_WRPKRU, EVENT_EXIT, EVENT_SECTION, EVENT_FORK_0, EVENT_EXEC = EVENT_FORK_0 + USERS_MAX,
	EVENT_EXEC_INTEGER, EVENT_DIE, EVENT_POWER, EVENT_DAMAGE_0, EVENT_SIGNAL = EVENT_DAMAGE_0 + USERS_MAX,
	EVENT_SIGRETURN, EVENT_REGSET_0, EVENT_UPDATE_0 = EVENT_REGSET_0 + USERS_MAX,
	EVENT_TILE = EVENT_UPDATE_0 + USERS_MAX, EVENT_TILE_STARVED, EVENT_RELEASE, EVENT_IDLE, EVENT_GUEST,
	EVENT_GUEST_ENTER, EVENT_GUEST_LEAVE, EVENT_GUEST_XFD, EVENT_GUEST_INIT,
	EVENT_FAULT, EVENTS
};
_Static_assert(EVENTS <= 64, "world_options gives bits of them");

/* Where a CPU is when there is something to choose. */
enum place { IN_USER, IN_KERNEL, AT_POINT, DYING };

/* A guest takes the last place; it has registers, and no program of its own that could be switched to. */
enum life { LIFE_FREE, LIFE_BEING_MADE, LIFE_ALIVE, LIFE_ENDING, LIFE_GUEST };

/* What goes through a door, symbolically. */
struct door {
	struct values values;
	u32 pkru;
};

struct task {
	struct fpu_task fpu;   /* first: fpu/ sees only this */
	void *sp;	       /* of its coroutine while it does not run */
	struct values logical; /* what the registers must hold in user mode */
	u32 pkru;
	u16 trail;     /* the points passed since its system call began (trail.h); 0: in none */
	u8 trail_cpu;  /* that the last of them was passed on */
	u8 life;
	u8 cpu;	       /* that it is on, from being chosen until the switch away is complete; or NOBODY */
	u8 child;      /* that it is making, or NOBODY */
	u8 target;     /* whose registers it reads or writes through a door, or NOBODY */
	u8 guest;      /* that runs in its place, or NOBODY */
	bool room;     /* for tiles: it has used them, or is a guest */
	bool touches;  /* it is about to access user memory, which may fault */
	bool starved;  /* memory is out for what it asks for */
	bool handler;  /* in a signal handler: frame has what it will return to, user memory (frames.c) how it lies there */
	bool queue;    /* queued waits for it */
	struct door frame, written, queued; /* written: what the target is to get; queued: of one component */
	bool exec;     /* its logical values are about to change */
	bool killed, doomed; /* doomed: its fpstate is damaged, it must not see user mode again */
};

struct cpu {
	struct fpu_cpu fpu;
	struct registers registers;
	u32 preempt_count;
	u8 current, place;
	u8 next, previous; /* tasks of a switch that is going on, or NOBODY */
	u8 dead;	   /* to be freed after the switch, or NOBODY */
	bool interrupts;
};

struct config {
	const char *policy, *intonly; /* intonly NULL: no integer-only tasks; else the last place may have one */
	u8 cpus, users;
	u8 suspended; /* so many tasks at most wait for a CPU inside a call */
	bool every_point; /* other CPUs come at every point, even where nobody could tell */
	bool ungated; /* has a component that TS does not gate, and user code changes it */
	bool pkru;    /* user code writes PKRU, and reads its registers only */
	bool damage;  /* fpstates get damaged */
	bool power;   /* CPUs go down and come back */
	bool tiles;   /* user code uses them; each instruction traps, as where they are modelled */
	bool guest;   /* there may be one; as in guests.c */
	bool signals; /* as in doors.c; and there: */
	bool debugger; /* reads and writes of registers, updates of one component, */
	bool load;    /* with update=load */
	bool queue;   /* updates of tasks that run */
	bool no_exec;
	u32 seconds;  /* of processor time after which a search stops where it is; 0: it goes on to the end */
	bool scrub;   /* what nobody may rely on is overwritten at once (scrub.c) */
};

struct world {
	struct config config;
	struct task task[TASKS];
	struct cpu cpu[CPUS_MAX];
	u8 self; /* the CPU that executes */
};
extern struct world world;

static inline struct cpu *this_cpu(void)
{
	return &world.cpu[world.self];
}

/* The task that runs on this CPU. */
static inline struct task *me(void)
{
	return &world.task[this_cpu()->current];
}

/*
 * False while it may be half-way through a transition: with interrupts off, or where a kernel FPU section begins. And
 * while it is down.
 */
static inline bool is_steady(const struct cpu *cpu)
{
	return cpu->fpu.online && cpu->interrupts && !(cpu->fpu.in_kernel && cpu->fpu.owner != fpu_kernel_owner);
}

/* What fpregs_valid should say: the judge does not ask the judged. */
static inline bool is_valid(const struct cpu *cpu, const struct fpu_context *context)
{
	return cpu->fpu.owner == context && context->last_cpu == cpu->fpu.id;
}

static inline bool is_user(u32 index)
{
	return index < USERS_MAX;
}

static inline bool has_context(const struct task *task)
{
	return task->life == LIFE_ALIVE || task->life == LIFE_GUEST;
}

/* Whose registers a task uses: its own, or those of the guest that runs in its place. */
static inline u8 acting(u8 index)
{
	return world.task[index].guest == NOBODY ? index : world.task[index].guest;
}

static inline struct task *my_registers(void)
{
	return &world.task[acting(this_cpu()->current)];
}

/* The task that uses these registers, or NOBODY: a guest that is not entered, a task with a guest in its place. */
u8 world_carrier(u32 index);

/* A guest that some task has entered, or is at the registers of. */
bool world_guest_in_hand(void);

/* Stopped by a debugger that is at its registers: it does not get a CPU. */
bool world_held(u32 index);

/* The first state: one user task that has just been made, and every CPU in its kernel task. */
void world_start(const struct config *config);

/* What may happen on a CPU now: bits of enum event. */
u64 world_options(u8 cpu);

/* True if nothing that this CPU can do next has to do with another CPU. */
bool world_local(u8 cpu);

/* Lets it happen and runs to the next choice. False: something is wrong, world_failure says what. */
bool world_step(u8 cpu, enum event choice);
extern char world_failure[256];

/* The last transition, for the story; and which ones have been taken since somebody cleared this. */
extern struct fpu_step last_step;
extern bool (*taken)[FPU_STATES][FPU_STATES];

/* Overwrites values that nobody may rely on. */
void world_scrub(void);

/* Must hold at every choice. Calls fail(). */
void check_invariants(void);
void check_exit(void);

/* In a coroutine: ends the run. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
