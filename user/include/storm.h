/*
 * storm.h - the parts of the storm: what a task keeps in its registers, and one round of loading
 * them, working and looking.
 *
 * The round itself is assembly (lib/storm_round.asm), so that no compiler can touch a register in
 * between. It finds everything through FS, whose base points to the task's struct storm_task: no
 * general register has to be spared. Each offset that it uses is asserted here.
 */
#ifndef STORM_H
#define STORM_H

#include <lib.h>

/* Components that not every CPU and kernel has: bits of storm_task.features. */
#define STORM_AVX	1U
#define STORM_AVX512	2U
#define STORM_PKU	4U

enum storm_gpr { GPR_RAX, GPR_RBX, GPR_RCX, GPR_RDX, GPR_RSI, GPR_RDI, GPR_RBP, GPR_R8, GPR_R9,
		 GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15, GPRS };

struct storm_registers {
	uint64_t zmm[32][8];		/* XMM is the low quarter of each, YMM the low half */
	uint64_t k[8];
	uint64_t st[8][2];		/* 80 bits each */
	uint64_t gpr[16];
	uint32_t mxcsr, pkru;
	uint16_t fcw, fsw;
} __attribute__((aligned(64)));

/* A piece of work: a raw system call, or one of these. */
#define STORM_SPIN	(-1)		/* argument[0] turns of a loop */
#define STORM_STORE	(-2)		/* *word = value */

struct storm_call {
	int64_t nr;
	uint64_t argument[6];		/* rdi, rsi, rdx, r10, r8, r9 */
	volatile uint32_t *word;	/* a system call is repeated until *word is value... */
	uint64_t value;			/* ... if there is a word */
	int64_t result;
};

#define STORM_TASKS	64
#define STORM_CALLS	4
#define STORM_BUFFER	512

struct storm_pair;			/* storm.c: what a worker and its partner share */

struct storm_task {
	struct storm_task *self;
	struct storm_call *next;	/* used up by the round */
	uint32_t left, features;
	struct storm_registers want, got;

	/* From here on only C. */
	struct storm_call calls[STORM_CALLS];
	const char *work[STORM_CALLS];	/* the names of the calls, for a report */
	uint32_t known;			/* general registers whose value can be told: bits */
	uint32_t number, round;
	int transient;			/* a child that a round made; it makes no more */
	uint64_t random;
	struct storm_pair *pair;
	uint32_t turn;			/* exchanges with the partner so far */
	long caller;			/* a partner by IPC: whom it owes a reply */
	struct storm_task *thread;	/* room for the threads that rounds make... */
	uint64_t *stack_end;		/* ... and their stack */
	int tid;			/* cleared by the kernel when the thread ends */
	struct timespec time;
	uint64_t mask;
	struct tarry_crypt crypt;
	uint8_t buffer[STORM_BUFFER];
};

_Static_assert(offsetof(struct storm_task, next) == 8, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_task, left) == 16, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_task, features) == 20, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_task, want) == 64, "known to storm_round.asm");
_Static_assert(sizeof(struct storm_registers) == 2432, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, k) == 2048, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, st) == 2112, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, gpr) == 2240, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, mxcsr) == 2368, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, pkru) == 2372, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, fcw) == 2376, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_registers, fsw) == 2378, "known to storm_round.asm");
_Static_assert(sizeof(struct storm_call) == 80, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_call, word) == 56, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_call, value) == 64, "known to storm_round.asm");
_Static_assert(offsetof(struct storm_call, result) == 72, "known to storm_round.asm");

/* What all tasks share. */
struct storm_shared {
	volatile uint64_t checks, mismatches;
	volatile uint64_t plugged;	/* CPUs that have gone and come back */
	uint64_t wanted;		/* checks */
	uint64_t cpus;			/* the CPUs that there are; 0: no sched_setaffinity */
	volatile uint64_t signals;	/* handled */
	volatile uint32_t ntids, tids[STORM_TASKS];	/* of the tasks that get them, 0 before there is one */
};
extern struct storm_shared *storm_shared;

static inline struct storm_task *storm_self(void)
{
	struct storm_task *task;

	__asm__ volatile("movq %%fs:0, %0" : "=r"(task));
	return task;
}

/* storm_round.asm: loads want, does the `left` calls from `next` on, stores got. */
void storm_round(void);

/* storm_registers.c */
uint32_t storm_features(void);
void storm_describe(uint32_t features);		/* prints what is checked */
uint64_t storm_random(struct storm_task *t);
void storm_pattern(struct storm_task *t);	/* fills want */
void storm_compare(struct storm_task *t);	/* counts, and prints what differs */

/* storm_work.c */
void storm_forget(struct storm_task *t);		/* the plan of the last round */
void storm_do(struct storm_task *t, uint32_t n);	/* a round with the n calls planned; not the comparing */
void storm_work(struct storm_task *t);	/* a whole round; what it made has ended when it returns */

/* storm_signals.c: from here on SIGUSR1 has a handler that spoils all registers; the caller takes signals. */
void storm_hear_signals(void);
void storm_take_signals(void);

/* storm_talk.c: one exchange with the partner; one answer to the worker. Whole rounds, both. */
void storm_ask(struct storm_task *t);
void storm_answer(struct storm_task *t);

/* How the two of a pair talk. */
enum storm_talk { TALK_PIPE, TALK_FUTEX, TALK_IPC, TALKS };

struct storm_pair {
	enum storm_talk talk;
	int there[2], back[2];			/* pipes */
	volatile uint32_t asked, answered;	/* futexes */
	volatile uint32_t partner;		/* its tid, 0 before it is ready */
	volatile uint32_t last;			/* the number of the last exchange, or 0: not yet known */
};

#endif
