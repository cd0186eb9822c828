/*
 * Keys. User tasks and CPUs are put in an order that does not depend on where they are: by a signature, and where
 * signatures are equal by the least hash of all orders. Then values are named in the order in which they come; one
 * that no task has any more can never be right again, so all of those have one name. See key.h.
 */
#include <string.h>

#include "fpu/cpu.h"
#include "fpu/image.h"
#include "fpu/setup.h"
#include "tests/explore/doors.h"
#include "tests/explore/frames.h"
#include "tests/explore/images.h"
#include "tests/explore/intern.h"
#include "tests/explore/key.h"

#define ROOM 96
#define STALE 0xdd
#define OWNER_0 4

struct part {
	u8 bytes[ROOM];
	u32 size;
};

/* One order, and what is being written in it. */
struct order {
	u8 user_at[STATE_USERS], cpu_at[STATE_CPUS];	 /* who comes at each place */
	u8 place_of_user[USERS_MAX], place_of_cpu[CPUS_MAX]; /* and back */
};

struct description {
	struct part part[STATE_USERS + STATE_CPUS];
	u8 name[256], names;
};

static struct intern parts;
static bool live[256]; /* values that are some task's */

static void put(struct part *part, u32 byte)
{
	part->bytes[part->size++] = (u8)byte;
}

static void put_values(struct description *d, struct part *part, const struct values *values)
{
	for (u32 c = 0; c < COMPONENTS; c++) {
		u8 value = values->of[c];

		if (live[value] && !d->name[value])
			d->name[value] = ++d->names;
		if (live[value])
			value = d->name[value];
		else if (value && value != GARBAGE && value != NOBODYS)
			value = STALE;
		put(part, value);
	}
}

static void put_fpstate(struct description *d, struct part *part, const struct xsave_area *area)
{
	struct image image;
	struct values values;

	put(part, area != NULL);
	if (!area)
		return;
	image = image_of(area);
	values = image_values(&image);
	put(part, image.used | image.written << 1 | image.damaged << 2 | image.room << 3 | image.tiles << 4);
	put_values(d, part, &values);
}

static u8 user_name(const struct order *order, u8 index)
{
	return index == NOBODY ? NOBODY : is_user(index) ? order->place_of_user[index] : STATE_USERS;
}

static u8 cpu_name(const struct order *order, s32 cpu)
{
	return cpu < 0 || cpu >= CPUS_MAX ? NOBODY : order->place_of_cpu[cpu];
}

static u8 owner_name(const struct order *order, const void *owner)
{
	for (u8 i = 0; i < world.config.users; i++)
		if (owner == &world.task[i].fpu.user)
			return OWNER_0 + order->place_of_user[i];
	return owner == NULL ? 0 : owner == fpu_kernel_owner ? 1 : 2;
}

static u8 pkru_name(u32 pkru)
{
	return pkru == PKRU_DEFAULT ? 0 : pkru == PKRU_OTHER ? 1 : 2;
}

static u32 xfd_bit(u64 xfd)
{
	return xfd != 0;
}

static void put_door(struct description *d, struct part *part, const struct door *door)
{
	put_values(d, part, &door->values);
	put(part, pkru_name(door->pkru));
}

static void put_frame(struct description *d, struct part *part, const u8 *bytes)
{
	struct door door = door_decode(bytes);

	put(part, (u32)((const struct xsave_area *)bytes)->xstate_bv & 3);
	put_door(d, part, &door);
}

static void put_frames(struct description *d, struct part *part, const struct frames *f)
{
	put(part, f->in_kernel | f->in_user << 1);
	if (f->in_kernel)
		put_frame(d, part, f->kernel);
	if (f->in_user)
		put_frame(d, part, f->user);
}

static u32 task_bits(const struct task *task)
{
	u8 carrier = world_carrier((u32)(task - world.task)), cpu = carrier == NOBODY ? NOBODY : world.task[carrier].cpu;
	bool running = cpu != NOBODY && world.cpu[cpu].current == carrier; /* with its keys in the register */

	return task->exec | task->killed << 1 | task->doomed << 2 | (task->fpu.active != NULL) << 3 |
	       task->fpu.user.bad << 4 | (running ? 0 : pkru_name(task->fpu.user.pkru)) << 5 | task->handler << 7;
}

static void put_trail(const struct order *order, struct part *part, const struct task *task)
{
	put(part, task->trail);
	put(part, task->trail >> 8);
	put(part, task->trail ? cpu_name(order, task->trail_cpu) : 0);
}

static void put_task(struct description *d, const struct order *order, struct part *part, const struct task *task)
{
	put(part, task->life);
	if (task->life == LIFE_FREE)
		return;
	put_trail(order, part, task);
	put(part, task_bits(task));
	put(part, pkru_name(task->pkru) | task->room << 2 | task->starved << 3 | xfd_bit(task->fpu.user.xfd) << 4 |
		  task->touches << 5 | task->fpu.user.in_frame << 6);
	put(part, task->fpu.own_flags);
	put(part, user_name(order, task->child));
	put(part, user_name(order, task->target));
	put(part, user_name(order, task->guest));
	put(part, cpu_name(order, task->cpu));
	put(part, cpu_name(order, task->fpu.user.last_cpu));
	put_values(d, part, &task->logical);
	put_fpstate(d, part, task->fpu.user.fpstate);
	if (task->handler)
		put_door(d, part, &task->frame);
	if (task->target != NOBODY)
		put_door(d, part, &task->written);
	put_frames(d, part, &frames[task - world.task]);
	put(part, task->queue);
	if (task->queue)
		put_door(d, part, &task->queued);
}

static void put_cpu(struct description *d, const struct order *order, struct part *part, u8 index)
{
	const struct cpu *cpu = &world.cpu[index];

	put(part, user_name(order, cpu->current));
	put(part, user_name(order, cpu->next));
	put(part, user_name(order, cpu->dead));
	put(part, owner_name(order, cpu->fpu.owner));
	put(part, cpu->place | cpu->interrupts << 2 | cpu->fpu.in_kernel << 3 | cpu->registers.ts << 4 |
		  pkru_name(cpu->registers.pkru) << 5 | cpu->fpu.online << 7);
	put(part, cpu->fpu.locked | cpu->preempt_count << 2 | xfd_bit(cpu->fpu.xfd) << 5 |
		  xfd_bit(cpu->registers.xfd) << 6 | xfd_bit(cpu->registers.xfd_err) << 7);
	put_trail(order, part, &world.task[KERNEL_TASK(index)]);
	put_values(d, part, &cpu->registers.values);
}

static void describe(struct description *d, const struct order *order)
{
	u32 users = world.config.users, cpus = world.config.cpus;

	memset(d->name, 0, sizeof(d->name));
	d->names = 0;
	for (u32 i = 0; i < users + cpus; i++)
		d->part[i].size = 0;
	for (u32 i = 0; i < users; i++)
		put_task(d, order, &d->part[i], &world.task[order->user_at[i]]);
	for (u32 i = 0; i < cpus; i++)
		put_cpu(d, order, &d->part[users + i], order->cpu_at[i]);
}

static u64 hash_description(const struct description *d)
{
	u64 hash = 0;

	for (u32 i = 0; i < world.config.users + world.config.cpus; i++)
		hash = hash * 0x9e3779b97f4a7c15 + hash_bytes(d->part[i].bytes, d->part[i].size);
	return hash;
}

/* What does not change with the order. The last place is not like the others if only it may be integer-only. */
static u32 user_signature(u32 index)
{
	const struct task *task = &world.task[index];
	bool apart = (world.config.intonly || world.config.guest) && index == world.config.users - 1u;

	return (u32)(apart << 31) | (u32)task->life << 28 | (task->life == LIFE_FREE ? 0 : task_bits(task)) << 20 |
	       (u32)(task->cpu != NOBODY) << 19 | (u32)task->fpu.own_flags << 17 | (u32)task->trail;
}

static u32 cpu_signature(u32 index)
{
	const struct cpu *cpu = &world.cpu[index];
	const struct task *task = &world.task[cpu->current];

	return (u32)is_user(cpu->current) << 31 | (u32)cpu->place << 28 | (u32)cpu->interrupts << 27 |
	       (u32)cpu->registers.ts << 26 | (u32)(cpu->fpu.owner == NULL) << 25 | (u32)task->trail;
}

static void place(u8 *at, u8 *place_of, const u8 *order, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		at[i] = order[i];
		place_of[order[i]] = (u8)i;
	}
}

static bool in_order(const u8 *order, const u32 *signature, u32 n)
{
	for (u32 i = 1; i < n; i++)
		if (signature[order[i - 1]] > signature[order[i]])
			return false;
	return true;
}

static const u8 user_orders[][STATE_USERS] = { { 0, 1, 2 }, { 1, 0, 2 }, { 0, 2, 1 }, { 1, 2, 0 }, { 2, 0, 1 },
					       { 2, 1, 0 } };
static const u8 cpu_orders[][STATE_CPUS] = { { 0, 1 }, { 1, 0 } };
static const u32 factorial[] = { 1, 1, 2, 6 };

/* The order with the least hash among those that the signatures allow. */
static void choose_order(struct description *best)
{
	static struct description d;
	u32 user[STATE_USERS], cpu[STATE_CPUS], users = world.config.users, cpus = world.config.cpus;
	struct order order;
	u64 least = ~0ul, hash;

	for (u32 i = 0; i < users; i++)
		user[i] = user_signature(i);
	for (u32 i = 0; i < cpus; i++)
		cpu[i] = cpu_signature(i);
	for (u32 i = 0; i < factorial[users] * factorial[cpus]; i++) {
		const u8 *of_users = user_orders[i % factorial[users]], *of_cpus = cpu_orders[i / factorial[users]];

		if (!in_order(of_users, user, users) || !in_order(of_cpus, cpu, cpus))
			continue;
		place(order.user_at, order.place_of_user, of_users, users);
		place(order.cpu_at, order.place_of_cpu, of_cpus, cpus);
		describe(&d, &order);
		hash = hash_description(&d);
		if (hash < least) {
			least = hash;
			*best = d;
		}
	}
}

static void note_live(const struct task *task)
{
	for (u32 c = 0; c < COMPONENTS; c++) {
		live[task->logical.of[c]] = task->logical.of[c];
		if (task->handler)
			live[task->frame.values.of[c]] = task->frame.values.of[c];
		if (task->queue)
			live[task->queued.values.of[c]] = task->queued.values.of[c];
		if (task->target != NOBODY)
			live[task->written.values.of[c]] = task->written.values.of[c];
	}
}

struct key key_of_world(void)
{
	static struct description d;
	struct key key = { { 0 } };

	memset(live, 0, sizeof(live));
	for (u32 i = 0; i < world.config.users; i++)
		if (has_context(&world.task[i]))
			note_live(&world.task[i]);
	choose_order(&d);
	for (u32 i = 0; i < world.config.users + world.config.cpus; i++)
		key.part[i] = intern(&parts, d.part[i].bytes, d.part[i].size);
	return key;
}

void key_forget(void)
{
	intern_forget(&parts);
}
