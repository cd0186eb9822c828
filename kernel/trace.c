/*
 * A ring of records for each CPU, filled by fpu/ with interrupts off and emptied by a kernel thread into COM4, one
 * JSON object a line. A record carries all that it changed; every SNAPSHOT_EVERY records a snapshot of all CPUs and
 * contexts goes into the ring, so that a reader can start there. When the ring is full the newest record is lost and
 * counted, and the count comes out with the next one. Nothing here changes what it shows.
 */
#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/policy.h"
#include "fpu/setup.h"
#include "fpu/trace.h"
#include "kernel/bootinfo.h"
#include "kernel/format.h"
#include "kernel/insn.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/serial.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "sched/task.h"
#include "sched/wait.h"

#define RING_RECORDS 8192
#define SNAPSHOT_EVERY 1000
#define LINE_SIZE 512

enum kind { TRANSITION, OWNER, SNAPSHOT_CPU, SNAPSHOT_CONTEXT };

struct record {
	u8 kind;
	struct fpu_step step;
	s32 tid, last_cpu;
	bool need_load;
	u32 pkru, lost;
	u64 sequence, time, context, owner, moved, xstate_bv, xcomp_bv;
};

static struct record *ring;
static u64 head, tail, sequence, next_snapshot;
static u32 lost;
bool fpu_tracing;

/*
 * The owner by a number that outlives it: a context's id, 0 nobody, -1 kernel, -2 initial image. The pointer in
 * fpu_cpu may name a dead context and is never followed.
 */
static u64 owner_id;

static void note_owner(const struct fpu_cpu *cpu)
{
	owner_id = cpu->owner == fpu_kernel_owner ? ~0ul : cpu->owner == fpu_init_owner ? ~1ul : 0;
}

static struct record *next_record(const struct fpu_cpu *cpu, enum kind kind)
{
	struct record *r = &ring[head % RING_RECORDS];

	if (head - tail == RING_RECORDS) {
		lost++;
		return NULL;
	}
	*r = (struct record){ .kind = (u8)kind, .sequence = sequence++, .time = clock_ns(), .lost = lost };
	r->owner = owner_id;
	r->step.cpu = cpu->id;
	lost = 0;
	head++;
	return r;
}

static void fill_context(struct record *r, const struct fpu_context *context)
{
	r->context = context->id;
	r->last_cpu = context->last_cpu;
	r->pkru = context->pkru;
	if (context->fpstate) {
		r->xstate_bv = context->fpstate->xstate_bv;
		r->xcomp_bv = context->fpstate->xcomp_bv;
	}
}

static void snapshot_context(struct task *task, void *arg)
{
	const struct fpu_cpu *cpu = arg;
	struct record *r = task->fpu.active ? next_record(cpu, SNAPSHOT_CONTEXT) : NULL;

	if (!r)
		return;
	fill_context(r, task->fpu.active);
	r->tid = task->tid;
	r->need_load = task->flags & TASK_NEED_FPU_LOAD;
}

static void snapshot(const struct fpu_cpu *cpu)
{
	if (!try_set_bit0(&task_lock.locked)) /* somebody on the way is changing the table: next time */
		return;
	if (next_record(cpu, SNAPSHOT_CPU))
		next_snapshot = sequence - 1 + SNAPSHOT_EVERY;
	tasks_for_each(snapshot_context, (void *)cpu);
	spin_release(&task_lock);
}

static __attribute__((noinline)) void record_transition(const struct fpu_cpu *cpu, const struct fpu_context *context,
							const struct fpu_step *step, u64 moved)
{
	struct record *r;

	if (cpu->owner == context)
		owner_id = context->id;
	if (sequence >= next_snapshot)
		snapshot(cpu);
	r = next_record(cpu, TRANSITION);
	if (!r)
		return;
	fill_context(r, context);
	r->step = *step;
	r->tid = current->tid;
	r->need_load = current->flags & TASK_NEED_FPU_LOAD;
	r->moved = moved;
}

static __attribute__((noinline)) void record_owner(const struct fpu_cpu *cpu)
{
	struct record *r;

	note_owner(cpu);
	if (sequence >= next_snapshot)
		snapshot(cpu);
	r = next_record(cpu, OWNER);
	if (r)
		r->tid = current->tid;
}

/*
 * The two places that fpu/ calls, and debuggers stop at. What the trace costs is counted apart; the recording is a
 * call of its own so that little of it happens outside the count. Interrupts off, for a kernel section may begin with
 * interrupts on.
 */
__attribute__((noinline)) void fpu_trace_transition(struct fpu_cpu *cpu, const struct fpu_context *context,
						    const struct fpu_step *step, u64 moved)
{
	u64 flags = irq_save();
	u32 start = (u32)rdtsc();

	record_transition(cpu, context, step, moved);
	cpu->counters.trace_ticks += (u32)rdtsc() - start;
	irq_restore(flags);
}

__attribute__((noinline)) void fpu_trace_owner(struct fpu_cpu *cpu)
{
	u64 flags = irq_save();
	u32 start = (u32)rdtsc();

	record_owner(cpu);
	cpu->counters.trace_ticks += (u32)rdtsc() - start;
	irq_restore(flags);
}

static int print_owner(char *line, size_t size, u64 owner)
{
	if (owner == ~0ul)
		return format_text(line, size, "\"kernel\"");
	if (owner == ~1ul)
		return format_text(line, size, "\"init\"");
	return owner ? format_text(line, size, "%lu", owner) : format_text(line, size, "null");
}

static int print_transition(char *line, size_t size, const struct record *r)
{
	bool save = r->step.from == FPU_ACTIVE && r->moved;
	bool avoided = fpu_config.defers && r->step.from == FPU_CACHED && r->step.to == FPU_ACTIVE;

	return format_text(line, size,
			   ",\"event\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"saved\":\"0x%lx\",\"loaded\":\"0x%lx\","
			   "\"avoided\":%s,\"file\":\"%s\",\"line\":%u,\"function\":\"%s\"",
			   fpu_event_names[r->step.event], fpu_state_names[r->step.from], fpu_state_names[r->step.to],
			   save ? r->moved : 0, save ? 0 : r->moved,
			   avoided ? "true" : "false", r->step.site->file, r->step.site->line, r->step.site->function);
}

static void write_record(const struct record *r)
{
	static const char *const kinds[] = { "transition", "owner", "snapshot-cpu", "snapshot-context" };
	static char line[LINE_SIZE];
	int n = format_text(line, sizeof(line), "{\"kind\":\"%s\",\"seq\":%lu,\"t\":%lu,\"cpu\":%d,\"lost\":%u,\"owner\":",
			    kinds[r->kind], r->sequence, r->time, r->step.cpu, r->lost);

	n += print_owner(line + n, sizeof(line) - (size_t)n, r->owner);
	if (r->kind != SNAPSHOT_CPU)
		n += format_text(line + n, sizeof(line) - (size_t)n, ",\"task\":%d", r->tid);
	if (r->context)
		n += format_text(line + n, sizeof(line) - (size_t)n,
				 ",\"context\":%lu,\"last_cpu\":%d,\"need_load\":%d,\"xstate_bv\":\"0x%lx\","
				 "\"xcomp_bv\":\"0x%lx\",\"pkru\":\"0x%x\"",
				 r->context, r->last_cpu, r->need_load, r->xstate_bv, r->xcomp_bv, r->pkru);
	if (r->kind == TRANSITION)
		n += print_transition(line + n, sizeof(line) - (size_t)n, r);
	n += format_text(line + n, sizeof(line) - (size_t)n, "}\n");
	serial_write(COM4, line, (size_t)n);
}

static struct mutex drain_lock;

static void drain(void)
{
	mutex_lock(&drain_lock);
	while (tail != head) {
		write_record(&ring[tail % RING_RECORDS]);
		tail++;
	}
	mutex_unlock(&drain_lock);
}

static void trace_thread(void *arg)
{
	for (;;) {
		drain();
		sleep_until(clock_ns() + NSEC_PER_TICK);
	}
}

void trace_init(void)
{
	if (!boot_flag("trace"))
		return;
	ring = kmalloc(RING_RECORDS * sizeof(*ring));
	if (!ring || !kthread_create("trace", trace_thread, NULL))
		panic("no memory for the trace");
	mutex_init(&drain_lock);
	fpu_tracing = true;
}

void trace_finish(void)
{
	const struct fpu_cpu *cpu = fpu_this_cpu();
	const struct fpu_counters *c = &cpu->counters;

	fpu_tracing = false;
	drain();
	if (!boot_flag("stats"))
		return;
	klog("stats: {\"policy\":\"%s\",\"mechanism\":\"%s\",\"cpus\":[{\"cpu\":%d,\"saves\":%lu,\"loads\":%lu,",
	     fpu_policy->name, fpu_config.native ? "native" : "soft", cpu->id, c->saves, c->loads);
	klog("stats: \"loads_avoided\":%lu,\"init_loads\":%lu,\"bytes_saved\":%lu,\"bytes_loaded\":%lu,",
	     c->loads_avoided, c->init_loads, c->bytes_saved, c->bytes_loaded);
	klog("stats: \"sections\":%lu,\"sections_again\":%lu,\"traps\":%lu}]}", c->sections, c->sections_again, c->traps);
}
