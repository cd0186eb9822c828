/*
 * door_machine.h - what the tests of the doors share: the real code of fpu/ on the software register file, with one
 * task, a machine around it, and random registers.
 */
#ifndef DOOR_MACHINE_H
#define DOOR_MACHINE_H

#include "host.h"

#include "kernel/insn.h"
#include "regfile/fpu/insn.h"
#include "regfile/fpu/cpu.h"

#define irq_save() 0
#define irq_restore(flags) ((void)(flags))

#include "fpu/image.c"
#include "fpu/policy_deferred.c"
#include "fpu/standard.c"
#include "fpu/update.c"
#include "fpu/verbs.c"
#include "fpu/xstate.c"
#include "regfile/regfile.c"
#include "regfile/xsave.c"

static struct rng rng = { 20210616 };

static u64 random_word(void)
{
	return rng_next(&rng);
}

#include "xsave_data.h"

#define SUPERVISOR (XFM(XF_PASID) | XFM(XF_CET_U))
#define POISON 0xaa
#define PASID_VALUE 0x80000005

typedef union {
	struct xsave_area area;
	u8 bytes[REGFILE_AREA];
} buffer;

static buffer shown, wanted, memory, initial;
static struct fpu_cpu cpus[REGFILE_CPUS];
static struct fpu_task task, other, *running;
static u32 locks;
static const char *update_option;

struct fpu_policy fpu_policy;
struct fpu_buffers fpu_buffers;
bool fpu_tracing;

/* --- What fpu/ asks of a kernel --- */

struct fpu_cpu *fpu_this_cpu(void)
{
	return &cpus[regfile.current];
}

struct fpu_task *fpu_current(void)
{
	return running;
}

/* Those tests that have areas define them. */
__attribute__((weak)) struct xsave_area *fpu_area_alloc(u32 size);
__attribute__((weak)) void fpu_area_free(struct xsave_area *area);

struct xsave_area *fpu_buffer_alloc(void)
{
	return fpu_area_alloc(fpu_config.full_size);
}

void fpu_buffer_free(struct xsave_area *area)
{
	fpu_area_free(area);
}

void fpregs_lock(void)
{
	locks++;
}

void fpregs_unlock(void)
{
	locks--;
}

void fpu_broken(const char *why)
{
	fail_msg("%s", why);
	abort();
}

void fpu_illegal_transition(const struct fpu_context *context, const struct fpu_step *step)
{
	fail_msg("event %u, from state %u to %u", step->event, step->from, step->to);
	abort();
}

void fpu_trace_transition(struct fpu_cpu *cpu, const struct fpu_context *context, const struct fpu_step *step,
			  u64 moved)
{
}

void fpu_trace_owner(struct fpu_cpu *cpu)
{
}

void fpu_trace_update(struct fpu_cpu *cpu, const struct fpu_context *context, u32 feature, enum fpu_found found,
		      enum fpu_ending ending)
{
}

bool boot_option(const char *key, char *buf, size_t size)
{
	snprintf(buf, size, "%s", update_option);
	return true;
}

#ifndef WITH_MODEL
int soft_xsaves(struct soft_cpu *cpu, struct xsave_area *area, u64 rfbm)
{
	return SOFT_GP;
}

int soft_xrstors(struct soft_cpu *cpu, const struct xsave_area *area, u64 rfbm)
{
	return SOFT_GP;
}

void amx_release(struct amx_registers *r)
{
}
#endif

/* --- A machine with one task --- */

static void configure(const struct xstate_layout *layout, u64 user)
{
	fpu_config = (struct fpu_config){ .layout = *layout, .xcr0 = user, .xss = SUPERVISOR & layout->supervisor,
					  .native = true, .pku = user & XFM(XF_PKRU),
					  .mxcsr_mask = REGFILE_MXCSR_MASK };
	fpu_config.features = user | fpu_config.xss;
	fpu_config.mask = fpu_config.features & ~XFM(XF_PKRU);
	fpu_config.size = xstate_compact_size(layout, fpu_config.mask);
	fpu_image_reset(&initial.area, fpu_config.mask);
	fpu_image_prepare(&initial.area);
}

static void make_task(void)
{
	memset(&memory, POISON, sizeof(memory));
	fpu_image_reset(&memory.area, fpu_config.mask);
	task = (struct fpu_task){ .own_flags = TASK_NEED_FPU_LOAD, .user = { .fpstate = &memory.area } };
	task.active = &task.user;
	fpu_context_born(&task.user);
	running = &task;
}

static void start(u64 user)
{
	regfile_reset(user, SUPERVISOR);
	for (u32 i = 0; i < REGFILE_CPUS; i++)
		cpus[i] = (struct fpu_cpu){ .id = (s32)i, .online = true };
	configure(&regfile.layout, user);
	make_task();
	assert_true(fpregs_move_to_cpu(&cpus[0], &task, FPU_EV_EXIT_TO_USER));
}

static void write_register(u32 feature)
{
	u8 value[REGFILE_MAX_COMPONENT] = { 0 };
	struct xsave_area legacy = { .mxcsr = 0 };

	random_legacy(&legacy, XFM_LEGACY, REGFILE_MXCSR_MASK);
	if (feature == XF_X87) {
		memcpy(value, &legacy, X87_FIRST);
		memcpy(value + X87_FIRST, legacy.st, sizeof(legacy.st));
	} else if (feature == XF_SSE) {
		legacy.mxcsr_mask = REGFILE_MXCSR_MASK;
		memcpy(value, &legacy.mxcsr, 8);
		memcpy(value + 8, legacy.xmm, sizeof(legacy.xmm));
	} else {
		random_component(value, feature, regfile_size(feature));
	}
	regfile_write(feature, value);
}

static inline void fill_registers(u64 used)
{
	for (u32 i = 0; i < XF_COUNT; i++) {
		set_initial(&regfile.cpu[regfile.current], i);
		if (used >> i & 1)
			write_register(i);
	}
	regfile.cpu[regfile.current].value[XF_PASID][0] = 5;
	regfile.cpu[regfile.current].value[XF_PASID][3] = 0x80;
}

static inline u64 pasid(void)
{
	return read_fpu_msr(MSR_IA32_PASID);
}

/* Leaves the CPU: CACHED, with its values in memory. Comes back to one. */
static inline void switch_out(void)
{
	if (fpu_config.pku)
		task.user.pkru = rdpkru();
	fpregs_copy_to_memory(&cpus[regfile.current], &task, FPU_EV_SWITCH_OUT);
	running = &other;
}

static inline void run_on(u32 cpu)
{
	regfile.current = cpu;
	if (fpu_config.pku && running != &task)
		wrpkru(task.user.pkru);
	running = &task;
	assert_true(fpregs_move_to_cpu(&cpus[cpu], &task, FPU_EV_EXIT_TO_USER));
	assert_int_equal(locks, 0);
	assert_int_equal(regfile.faults, 0);
}

static inline void xsave_wanted(void)
{
	memset(&wanted, 0, sizeof(wanted));
	xsave64(&wanted, fpu_config.xcr0);
	wanted.area.mxcsr_mask = REGFILE_MXCSR_MASK;
}

#endif
