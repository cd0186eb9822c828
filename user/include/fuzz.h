/*
 * fuzz.h - the parts of the fuzzer: numbered cases, each made from the seed, the kind and its number alone, so that
 * one can be thrown again; the processes that throw them; and FPU images, spoilt or not, with what Linux's rules say
 * about them.
 *
 * The rules here are written down a second time on purpose: they must not be taken from the kernel.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <lib.h>
#include <sigcontext.h>
#include <xstate.h>

#define FUZZ_RUNNERS	8

enum fuzz_outcome { FUZZ_TAKEN, FUZZ_REFUSED, FUZZ_OUTCOMES };

/* A process that throws the cases [from, end), in memory that it shares with the one that watches it. */
struct fuzz_runner {
	volatile uint64_t at, end;	/* the case under way */
	volatile uint64_t from;		/* the first that this process threw */
	volatile uint32_t may_die;	/* of the case under way */
	volatile uint32_t findings;
	volatile uint64_t count[FUZZ_OUTCOMES];
	char finding[200];		/* the first one that nobody has printed, and its case */
	uint64_t found_at;
	int pid;
	uint64_t seen;			/* what the watcher saw last, how often, how many processes there were */
	uint32_t looks, processes;
};

struct fuzz_kind {
	const char *name, *outcomes[FUZZ_OUTCOMES];
	void (*run)(struct fuzz_runner *r);	/* until its end, or its process's */
	uint32_t patience;		/* looks without progress before the process is killed */
	int nudge;			/* a signal in between helps calls that sleep */
};

#define FUZZ_AGAIN	77		/* status of a process that wants a successor and has found nothing */

extern uint64_t fuzz_seed;
extern struct fuzz_runner *fuzz_runners;
extern uint32_t fuzz_nrunners;

/* fuzz_frames.c, fuzz_calls.c, fuzz_regsets.c */
void fuzz_frames(struct fuzz_runner *r);
void fuzz_calls(struct fuzz_runner *r);
void fuzz_regsets(struct fuzz_runner *r);

/* fuzz_image.c: from here on all that is random comes from this case. */
void fuzz_begin(const char *kind, uint64_t number);
uint64_t fuzz_random(void);
static inline uint64_t fuzz_below(uint64_t n) { return fuzz_random() % n; }
#define FUZZ_PICK(array)	((array)[fuzz_below(ARRAY_SIZE(array))])
void fuzz_fill(void *at, size_t size);
void fuzz_finding(struct fuzz_runner *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- Images in XSAVE's standard format --- */

struct fuzz_image {
	uint16_t fcw, fsw, ftw, fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16], xmm[16][16], unused[48];
	struct sw sw;
	uint64_t bv, compaction, reserved[6];
	uint8_t extended[];
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct fuzz_image, sw) == 464 && offsetof(struct fuzz_image, bv) == 512,
	       "the manual's layout");

/* The registers that are looked at, as FXSAVE stores them and what is beyond. Known to fuzz_throw.asm. */
struct fuzz_registers {
	uint8_t legacy[512];
	uint8_t ymm_high[16][16];
	uint32_t pkru;
} __attribute__((aligned(64)));

/* What this CPU and kernel have; filled in once. */
struct fuzz_format {
	uint64_t xcr0;
	uint32_t size;			/* of an image, without the magic word behind it */
	uint32_t avx, pkru;		/* offsets, or 0 */
	uint32_t mxcsr_mask;
};
extern struct fuzz_format fuzz_format;
void fuzz_image_init(void);

enum fuzz_verdict { FUZZ_REFUSE, FUZZ_DOUBT, FUZZ_TAKE };

void fuzz_image_make(struct fuzz_image *image);		/* one that must be taken, with its magic words */
void fuzz_image_spoil(struct fuzz_image *image);	/* in one place */
/* Of a signal frame, or of a regset, which has no magic words. features: the components that it gives values to. */
enum fuzz_verdict fuzz_image_judge(const struct fuzz_image *image, int frame, uint64_t *features);
void fuzz_image_registers(const struct fuzz_image *image, struct fuzz_registers *to);
uint32_t fuzz_image_pkru(const struct fuzz_image *image);

/*
 * NULL, or the name of the first component that is neither what `from` gives to features nor, where that gives
 * nothing or `strict` is 0, initial.
 */
const char *fuzz_registers_differ(const struct fuzz_registers *found, const struct fuzz_registers *from,
				  uint64_t features, int strict);

/* --- fuzz_throw.asm --- */

#define FUZZ_HAS_AVX	1u
#define FUZZ_HAS_PKU	2u

struct fuzz_landed {
	uint64_t gpr[16];		/* in the frame's order, r8 to rsp */
	uint64_t rflags;
	uint64_t stack;
	uint32_t has;
	struct fuzz_registers fpu;
};
extern struct fuzz_landed fuzz_landed;
_Static_assert(offsetof(struct fuzz_landed, rflags) == 128 && offsetof(struct fuzz_landed, stack) == 136 &&
	       offsetof(struct fuzz_landed, has) == 144 && offsetof(struct fuzz_landed, fpu) == 192 &&
	       offsetof(struct fuzz_registers, ymm_high) == 512 && offsetof(struct fuzz_registers, pkru) == 768,
	       "known to fuzz_throw.asm");

/* Loads the registers and calls rt_sigreturn on a frame. 1: the frame led to fuzz_landing; 2: fuzz_recover. */
int fuzz_throw(const struct context *context, const struct fuzz_registers *registers);
void fuzz_landing(void);
void fuzz_trap(void);			/* an invalid instruction, in any mode */
_Noreturn void fuzz_recover(void);
_Noreturn void fuzz_stop_for_ever(void);	/* by SIGSTOP; needs no register */
/* call[0] with the arguments behind it. Whom it makes, if makes_task, ends at once. */
long fuzz_call(const uint64_t call[7], int makes_task);

#endif
