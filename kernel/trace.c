/*
 * A ring of records for each CPU, filled by fpu/ with interrupts off and emptied by a kernel thread into COM4, one
 * JSON object a line: a header that says which trace this is, then the records. All records together are numbered,
 * and come out in that order. A record carries all that it changed; every SNAPSHOT_EVERY records a snapshot of all
 * CPUs and contexts goes into the ring, so that a reader can start there. Other CPUs go on meanwhile: what they do is
 * in records of their own, in between or behind. When a ring is full its CPU's newest record is lost and counted, and
 * the count comes out with that CPU's next one. Nothing here changes what it shows.
 */
#include "fpu/buffers.h"
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
#include "kernel/screen.h"
#include "kernel/serial.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "sched/task.h"
#include "sched/wait.h"

#define RING_RECORDS 8192
#define ALL_RECORDS (4 * RING_RECORDS) /* shared out where there are more CPUs than that */
#define SNAPSHOT_EVERY 1000
#define LINE_SIZE 512
#define GUEST_OF "guest of "
#define TRACE_FORMAT 1 /* of the lines: a reader refuses others */

enum kind { TRANSITION, OWNER, SNAPSHOT_CPU, SNAPSHOT_CONTEXT, UPDATE };

struct record {
	u8 kind, feature, found, ending; /* the last three: of an update */
	struct fpu_step step;
	s32 tid, last_cpu;
	bool need_load;
	u32 pkru, lost;
	u64 sequence, time, context, owner, moved, xstate_bv, xcomp_bv;
	char name[sizeof(GUEST_OF) + sizeof(((struct task *)0)->name)]; /* of tid */
};

/*
 * The owner by a number that outlives it: a context's id, 0 nobody, -1 kernel, -2 initial image. The pointer in
 * fpu_cpu may name a dead context and is never followed.
 */
static struct ring {
	struct record *records;
	u64 head;  /* records finished, by its CPU */
	u64 tail;  /* records taken out, by the drain */
	u32 lost;
	u64 owner; /* of its CPU's registers */
} rings[MAX_CPUS];

static u32 ring_size;	  /* 0: the trace is off, and there are no rings */
static u64 sequence;	  /* the next record's number */
static u64 next_snapshot; /* the number at which one is due */
bool fpu_tracing;

/* BIT(event) for each that a debugger waits for. It sets fpu_tracing, too, whether or not the trace is on. */
static volatile u64 debugger_events;

static __attribute__((noipa)) void debugger_stop(const struct fpu_context *context, const struct fpu_step *step,
						 u64 moved)
{
	asm volatile("");
}

static void note_owner(const struct fpu_cpu *cpu)
{
	rings[cpu->id].owner = cpu->owner == fpu_kernel_owner ? ~0ul : cpu->owner == fpu_init_owner ? ~1ul : 0;
}

/* A record in the CPU's ring, to be filled and finished with publish; NULL if there is no room. */
static struct record *next_record(const struct fpu_cpu *cpu, enum kind kind)
{
	struct ring *ring = &rings[cpu->id];
	struct record *r = &ring->records[ring->head % ring_size];

	if (ring->head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == ring_size) {
		ring->lost++;
		return NULL;
	}
	*r = (struct record){ .kind = (u8)kind, .lost = ring->lost };
	r->sequence = __atomic_fetch_add(&sequence, 1, __ATOMIC_SEQ_CST);
	r->time = clock_ns();
	r->owner = ring->owner;
	r->step.cpu = cpu->id;
	ring->lost = 0;
	return r;
}

static void publish(const struct fpu_cpu *cpu)
{
	struct ring *ring = &rings[cpu->id];

	__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
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

/* The task that the record speaks of. What a program called itself may not break the line. */
static void fill_task(struct record *r, const struct task *task, const struct fpu_context *context)
{
	size_t prefix = context && context->guest ? sizeof(GUEST_OF) - 1 : 0;

	memcpy(r->name, GUEST_OF, prefix);
	r->tid = task->tid;
	r->need_load = task->flags & TASK_NEED_FPU_LOAD;
	for (u32 i = 0; i + 1 < sizeof(task->name) && task->name[i]; i++) {
		char c = task->name[i];

		r->name[prefix + i] = c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c;
	}
}

static void snapshot_context(const struct fpu_cpu *cpu, const struct task *task, const struct fpu_context *context)
{
	struct record *r = next_record(cpu, SNAPSHOT_CONTEXT);

	if (!r)
		return;
	fill_context(r, context);
	fill_task(r, task, context);
	r->need_load |= task->fpu.active != context; /* parked while a guest runs */
	publish(cpu);
}

/* Its user context, and the guest's that may be active instead. */
static void snapshot_task(struct task *task, void *arg)
{
	const struct fpu_context *active = task->fpu.active;

	if (active)
		snapshot_context(arg, task, active);
	if (active && active != &task->fpu.user)
		snapshot_context(arg, task, &task->fpu.user);
}

/* Into the ring of the CPU that runs: a CPU that is described. */
static bool snapshot_cpu(const struct fpu_cpu *cpu, u32 described)
{
	struct record *r = next_record(cpu, SNAPSHOT_CPU);

	if (!r)
		return false;
	r->step.cpu = (u8)described;
	r->owner = __atomic_load_n(&rings[described].owner, __ATOMIC_RELAXED);
	publish(cpu);
	return true;
}

static void snapshot(const struct fpu_cpu *cpu)
{
	struct cpu *other;
	u64 start;

	if (!try_set_bit0(&task_lock.locked)) /* somebody on the way is changing the table: next time */
		return;
	start = sequence;
	if (start >= next_snapshot) { /* else another CPU has just done it */
		for_each_online_cpu(other)
			if (snapshot_cpu(cpu, other->id))
				next_snapshot = start + SNAPSHOT_EVERY;
		tasks_for_each(snapshot_task, (void *)cpu);
	}
	spin_release(&task_lock);
}

static void record_transition(const struct fpu_cpu *cpu, const struct fpu_context *context,
			      const struct fpu_step *step, u64 moved)
{
	struct record *r;

	if (cpu->owner == context)
		rings[cpu->id].owner = context->id;
	if (sequence >= next_snapshot)
		snapshot(cpu);
	r = next_record(cpu, TRANSITION);
	if (!r)
		return;
	fill_context(r, context);
	r->step = *step;
	fill_task(r, current, context);
	r->moved = moved;
	publish(cpu);
}

static __attribute__((noinline)) void record_owner(const struct fpu_cpu *cpu)
{
	struct record *r;

	note_owner(cpu);
	if (sequence >= next_snapshot)
		snapshot(cpu);
	r = next_record(cpu, OWNER);
	if (!r)
		return;
	fill_task(r, current, NULL);
	publish(cpu);
}

static __attribute__((noinline)) void record_update(const struct fpu_cpu *cpu, const struct fpu_context *context,
						    u32 feature, enum fpu_found found, enum fpu_ending ending)
{
	struct record *r = next_record(cpu, UPDATE);

	if (!r)
		return;
	r->context = context->id;
	fill_task(r, current, context);
	r->feature = (u8)feature;
	r->found = (u8)found;
	r->ending = (u8)ending;
	publish(cpu);
}

static __attribute__((noinline)) void show_transition(const struct fpu_cpu *cpu, const struct fpu_context *context,
						      const struct fpu_step *step, u64 moved)
{
	if (ring_size)
		record_transition(cpu, context, step, moved);
	if (screen_on)
		screen_transition(cpu, context, step);
	if (debugger_events & BIT(step->event))
		debugger_stop(context, step, moved);
}

/*
 * The places that fpu/ calls, and debuggers stop at. Interrupts off, for a kernel section may begin with interrupts on.
 * What the trace costs is counted apart; the recording is a call of its own so that little of it happens outside the
 * count.
 */
__attribute__((noinline)) void fpu_trace_transition(struct fpu_cpu *cpu, const struct fpu_context *context,
						    const struct fpu_step *step, u64 moved)
{
	u32 start = (u32)rdtsc();
	u64 flags = irq_save();

	show_transition(cpu, context, step, moved);
	irq_restore(flags);
	cpu->counters.trace_ticks += (u32)rdtsc() - start;
}

__attribute__((noinline)) void fpu_trace_owner(struct fpu_cpu *cpu)
{
	u32 start = (u32)rdtsc();
	u64 flags = irq_save();

	if (ring_size)
		record_owner(cpu);
	irq_restore(flags);
	cpu->counters.trace_ticks += (u32)rdtsc() - start;
}

__attribute__((noinline)) void fpu_trace_update(struct fpu_cpu *cpu, const struct fpu_context *context, u32 feature,
						enum fpu_found found, enum fpu_ending ending)
{
	u32 start = (u32)rdtsc();
	u64 flags = irq_save();

	if (ring_size)
		record_update(cpu, context, feature, found, ending);
	irq_restore(flags);
	cpu->counters.trace_ticks += (u32)rdtsc() - start;
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
	bool save = r->step.from == FPU_ACTIVE && r->step.moved;
	bool avoided = fpu_config.defers && r->step.from == FPU_CACHED && r->step.to == FPU_ACTIVE;

	return format_text(line, size,
			   ",\"event\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"saved\":\"0x%lx\",\"loaded\":\"0x%lx\","
			   "\"move\":\"%s\",\"avoided\":%s,\"file\":\"%s\",\"line\":%u,\"function\":\"%s\"",
			   fpu_event_names[r->step.event], fpu_state_names[r->step.from], fpu_state_names[r->step.to],
			   save ? r->moved : 0, save ? 0 : r->moved,
			   save ? "save" : r->step.moved ? "load" : "none", avoided ? "true" : "false",
			   r->step.site->file, r->step.site->line, r->step.site->function);
}

static int print_update(char *line, size_t size, const struct record *r)
{
	static const char *const found[] = { "\"registers\"", "\"memory\"", "\"init\"", "null" };
	static const char *const endings[] = { "flag", "load", "direct", "queued" };

	return format_text(line, size, ",\"context\":%lu,\"component\":\"%s\",\"found\":%s,\"ending\":\"%s\"", r->context,
			   xstate_name(r->feature), found[r->found], endings[r->ending]);
}

static void write_record(const struct record *r)
{
	static const char *const kinds[] = { "transition", "owner", "snapshot-cpu", "snapshot-context", "update" };
	static char line[LINE_SIZE];
	int n = format_text(line, sizeof(line), "{\"kind\":\"%s\",\"seq\":%lu,\"t\":%lu,\"cpu\":%d,\"lost\":%u,\"owner\":",
			    kinds[r->kind], r->sequence, r->time, r->step.cpu, r->lost);

	n += print_owner(line + n, sizeof(line) - (size_t)n, r->owner);
	if (r->kind != SNAPSHOT_CPU)
		n += format_text(line + n, sizeof(line) - (size_t)n, ",\"task\":%d,\"name\":\"%s\"", r->tid, r->name);
	if (r->context && r->kind != UPDATE)
		n += format_text(line + n, sizeof(line) - (size_t)n,
				 ",\"context\":%lu,\"last_cpu\":%d,\"need_load\":%d,\"xstate_bv\":\"0x%lx\","
				 "\"xcomp_bv\":\"0x%lx\",\"pkru\":\"0x%x\"",
				 r->context, r->last_cpu, r->need_load, r->xstate_bv, r->xcomp_bv, r->pkru);
	if (r->kind == TRANSITION)
		n += print_transition(line + n, sizeof(line) - (size_t)n, r);
	if (r->kind == UPDATE)
		n += print_update(line + n, sizeof(line) - (size_t)n, r);
	n += format_text(line + n, sizeof(line) - (size_t)n, "}\n");
	serial_write(COM4, line, (size_t)n);
}

static struct mutex drain_lock;
static u64 drained; /* records written so far, so the next one's number */

/* The ring whose oldest record has that number; NULL if no CPU has finished it yet. */
static struct ring *ring_of(u64 number)
{
	for (u32 i = 0; i < ncpus; i++) {
		struct ring *ring = &rings[i];

		if (ring->tail != __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) &&
		    ring->records[ring->tail % ring_size].sequence == number)
			return ring;
	}
	return NULL;
}

static void drain(void)
{
	struct ring *ring;

	mutex_lock(&drain_lock);
	while ((ring = ring_of(drained))) {
		write_record(&ring->records[ring->tail % ring_size]);
		__atomic_store_n(&ring->tail, ring->tail + 1, __ATOMIC_RELEASE);
		drained++;
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

static void write_header(void)
{
	static char line[LINE_SIZE];
	int n = format_text(line, sizeof(line),
			    "{\"kind\":\"trace\",\"format\":%d,\"policy\":\"%s\",\"mechanism\":\"%s\",\"cpus\":%u,"
			    "\"features\":\"0x%lx\",\"components\":[", TRACE_FORMAT, fpu_policy.name,
			    fpu_config.native ? "native" : "soft", ncpus, fpu_config.features);

	for (u32 i = 0; i < XF_COUNT; i++)
		n += format_text(line + n, sizeof(line) - (size_t)n, "%s\"%s\"", i ? "," : "", xstate_name(i));
	n += format_text(line + n, sizeof(line) - (size_t)n, "]}\n");
	serial_write(COM4, line, (size_t)n);
}

void trace_init(void)
{
	if (!boot_flag("trace"))
		return;
	ring_size = MIN(RING_RECORDS, ALL_RECORDS / ncpus);
	for (u32 i = 0; i < ncpus; i++)
		if (!(rings[i].records = kmalloc(ring_size * sizeof(struct record))))
			panic("no memory for the trace");
	mutex_init(&drain_lock);
	write_header();
	if (!kthread_create("trace", trace_thread, NULL))
		panic("no memory for the trace");
	for (u32 i = 0; i < ncpus; i++)
		note_owner(&cpus[i]->fpu);
	snapshot(fpu_this_cpu());
	fpu_tracing = true;
}

static void log_counters(const struct fpu_cpu *cpu, bool last)
{
	const struct fpu_counters *c = &cpu->counters;

	klog("stats: {\"cpu\":%d,\"saves\":%lu,\"loads\":%lu,\"loads_avoided\":%lu,\"init_loads\":%lu,", cpu->id, c->saves,
	     c->loads, c->loads_avoided, c->init_loads);
	klog("stats: \"bytes_saved\":%lu,\"bytes_loaded\":%lu,\"sections\":%lu,\"sections_again\":%lu,\"traps\":%lu,",
	     c->bytes_saved, c->bytes_loaded, c->sections, c->sections_again, c->traps);
	klog("stats: \"buffer_bytes_copied\":%lu,\"invlpgs\":%lu,\"shootdowns\":%lu,\"shootdowns_sent\":%lu,",
	     c->buffer_bytes, c->invlpgs, c->shootdowns, c->shootdowns_sent);
	klog("stats: \"shootdowns_taken\":%lu,\"updates_registers\":%lu,\"updates_memory\":%lu,\"updates_initial\":%lu,\"updates_flagged\":%lu,",
	     c->shootdowns_taken, c->updates_found[FPU_FOUND_REGISTERS], c->updates_found[FPU_FOUND_MEMORY],
	     c->updates_found[FPU_FOUND_INIT], c->updates_ended[FPU_ENDED_FLAG]);
	klog("stats: \"updates_loaded\":%lu,\"updates_direct\":%lu,\"updates_queued\":%lu}%s",
	     c->updates_ended[FPU_ENDED_LOAD], c->updates_ended[FPU_ENDED_DIRECT],
	     c->updates_ended[FPU_ENDED_QUEUED], last ? "]}" : ",");
}

void trace_finish(void)
{
	fpu_tracing = false;
	while (drained != __atomic_load_n(&sequence, __ATOMIC_ACQUIRE)) /* another CPU may have one half done */
		drain();
	if (!boot_flag("stats"))
		return;
	klog("stats: {\"policy\":\"%s\",\"mechanism\":\"%s\",\"fpbuf\":\"%s\",\"buffers\":%lu,\"buffer_bytes\":%lu,",
	     fpu_policy.name, fpu_config.native ? "native" : "soft", fpu_buffers.name, fpu_buffers_held(),
	     fpu_buffers_bytes());
	klog("stats: \"cpus\":[");
	for (u32 i = 0; i < ncpus; i++)
		log_counters(&cpus[i]->fpu, i + 1 == ncpus);
}
