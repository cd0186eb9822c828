/*
 * A tile instruction has raised #UD, for XCR0 lacks the tiles: fetched from the user's memory, decoded, executed on
 * the model's registers (fpu/amx.h), memory accessed through the user's mapping with the keys in force. Nothing is
 * held while user memory is touched, for that may sleep: a load or store goes row by row, and between two rows the
 * registers are such that the instruction can be begun again.
 */
#include "fpu/frame.h"
#include "fpu/tiles.h"
#include "kernel/fault.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/string.h"
#include "kernel/tiles.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define RFLAGS_RF BIT(16)
#define ADDRESS_BITS 48
#define GOES_ON 0 /* no exception so far; the divide error's vector is not needed here */

/* The registers as encodings number them. */
static u64 register_value(const struct regs *regs, const struct amx_insn *insn, u8 number)
{
	const u64 value[] = {
		regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp, regs->rsi, regs->rdi,
		regs->r8, regs->r9, regs->r10, regs->r11, regs->r12, regs->r13, regs->r14, regs->r15,
		[AMX_NO_REGISTER] = 0, [AMX_RIP] = regs->rip + insn->length,
	};

	return value[number];
}

static u64 linear(const struct amx_insn *insn, u64 offset)
{
	if (insn->address32)
		offset = (u32)offset;
	if (insn->segment == AMX_FLAT)
		return offset;
	return offset + rdmsr(insn->segment == AMX_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE);
}

static bool canonical(u64 address)
{
	s64 upper = (s64)address >> (ADDRESS_BITS - 1);

	return !upper || upper == -1;
}

/* n bytes at the linear address, to or from data. GOES_ON, or the exception; a page fault is dealt with here. */
static u64 access(struct regs *regs, const struct amx_insn *insn, u64 address, void *data, u32 n, bool write)
{
	bool stack = insn->segment == AMX_FLAT && (insn->base == 4 || insn->base == 5);
	size_t left;

	if (!canonical(address) || !canonical(address + n - 1))
		return stack ? EXC_STACK : EXC_PROTECTION;
	left = write ? copy_to_user_partial(address, data, n) : copy_from_user_partial(data, address, n);
	if (!left)
		return GOES_ON;
	address = user_range(address, n) ? address + n - left : MAX(address, USER_END);
	fault_of_instruction(regs, address, PF_USER | (write ? PF_WRITE : 0));
	return TILES_DONE;
}

/*
 * The instruction at RIP: at first only its part on the first page, as a CPU would; the next page must be one that it
 * would execute. Keys don't count for a fetch.
 */
static u64 fetch(struct regs *regs, struct amx_insn *insn)
{
	u8 bytes[AMX_MAX_LENGTH];
	u32 known = 0, step = (u32)MIN(sizeof(bytes), PAGE_SIZE - regs->rip % PAGE_SIZE);
	u32 keys = fpu_frame_open_keys(&current->fpu);
	size_t left = 0;
	int wanted = 1;

	while (wanted > (int)known && !left) {
		left = step;
		if (!known || !mm_fault(current->mm, regs->rip + known, PF_USER | PF_FETCH))
			left = copy_from_user_partial(bytes + known, regs->rip + known, step);
		known += step;
		step = sizeof(bytes) - known;
		if (!left)
			wanted = amx_decode(bytes, known, insn);
	}
	fpu_frame_close_keys(&current->fpu, keys);
	if (left) {
		fault_of_instruction(regs, regs->rip + known - left, PF_USER | PF_FETCH);
		return TILES_DONE;
	}
	return wanted ? EXC_UNDEFINED : GOES_ON;
}

/* The model's registers, if the instruction may go on with them: else NULL and the exception. */
static struct soft_cpu *begin(const struct amx_insn *insn, u64 *vector)
{
	struct soft_cpu *soft = fpu_tiles_get();

	*vector = GOES_ON;
	if (!soft) {
		*vector = fpu_has_registers(&current->fpu) ? TILES_DONE : EXC_UNDEFINED;
		return NULL;
	}
	if (!amx_allowed(&soft->tiles, insn)) {
		*vector = EXC_UNDEFINED;
	} else if (amx_uses_data(insn->op) && soft->xfd & XFM(XF_TILEDATA)) {
		irq_disable(); /* nobody else may set IA32_XFD_ERR before it is read */
		soft->xfd_err = XFM(XF_TILEDATA);
		*vector = EXC_NO_FPU;
	}
	if (!*vector)
		return soft;
	fpu_tiles_put();
	return NULL;
}

static u64 move_rows(struct regs *regs, const struct amx_insn *insn, struct soft_cpu *soft)
{
	u64 base = register_value(regs, insn, insn->base) + (u64)(s64)insn->displacement, vector;
	u64 stride = register_value(regs, insn, insn->index) << insn->scale;
	bool load = insn->op == AMX_TILELOADD, more;
	u8 data[AMX_COLSB];

	if (load)
		amx_load_start(&soft->tiles, insn->tile);
	do {
		u32 n = soft->tiles.config.colsb[insn->tile], row = soft->tiles.config.start_row;

		if (!load)
			memcpy(data, amx_row(&soft->tiles, insn->tile), n);
		fpu_tiles_put();
		vector = access(regs, insn, linear(insn, base + row * stride), data, n, !load);
		if (vector)
			return vector;
		soft = fpu_tiles_get();
		if (!soft)
			return TILES_DONE;
		if (load)
			memcpy(amx_row(&soft->tiles, insn->tile), data, n);
		more = amx_row_done(&soft->tiles, insn->tile);
	} while (more);
	fpu_tiles_put();
	return GOES_ON;
}

static u64 load_config(struct regs *regs, const struct amx_insn *insn, u64 address)
{
	struct amx_config config;
	struct soft_cpu *soft;
	u64 vector = access(regs, insn, address, &config, sizeof(config), false);

	if (!vector && !amx_config_valid(&config))
		vector = EXC_PROTECTION;
	if (vector || !(soft = begin(insn, &vector)))
		return vector;
	amx_configure(&soft->tiles, &config);
	fpu_tiles_put();
	return GOES_ON;
}

static u64 execute(struct regs *regs, const struct amx_insn *insn)
{
	u64 vector, address = linear(insn, register_value(regs, insn, insn->base) + (u64)(s64)insn->displacement +
					   (register_value(regs, insn, insn->index) << insn->scale));
	struct amx_config config;
	struct soft_cpu *soft;

	if (insn->op == AMX_LDTILECFG)
		return load_config(regs, insn, address);
	soft = begin(insn, &vector);
	if (!soft)
		return vector;
	if (insn->op == AMX_TILELOADD || insn->op == AMX_TILESTORED)
		return move_rows(regs, insn, soft);
	config = soft->tiles.config;
	if (insn->op == AMX_TILERELEASE)
		amx_release(&soft->tiles);
	else if (insn->op != AMX_STTILECFG)
		amx_compute(&soft->tiles, insn);
	fpu_tiles_put();
	return insn->op == AMX_STTILECFG ? access(regs, insn, address, &config, sizeof(config), true) : GOES_ON;
}

u64 tiles_emulate(struct regs *regs)
{
	struct amx_insn insn;
	u64 vector;

	if (!fpu_tiles_modelled() || regs->cs != USER_CS)
		return EXC_UNDEFINED;
	irq_enable();
	vector = fetch(regs, &insn);
	if (!vector)
		vector = execute(regs, &insn);
	irq_disable();
	if (vector)
		return vector;
	regs->rip += insn.length;
	regs->rflags &= ~RFLAGS_RF;
	return regs->rflags & RFLAGS_TF ? EXC_DEBUG : TILES_DONE;
}
