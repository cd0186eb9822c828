/*
 * Tile instructions on the model's registers (fpu/amx.h), for XCR0 lacks the tiles. A load or store goes row by row,
 * and between two rows the registers are such that the instruction can be begun again.
 */
#include "fpu/image.h"
#include "fpu/tiles.h"
#include "kernel/emulate.h"
#include "kernel/insn.h"
#include "kernel/string.h"
#include "kernel/tiles.h"
#include "kernel/traps.h"
#include "sched/task.h"

/* The model's registers, if the instruction may go on with them: else NULL and the exception. */
static struct soft_cpu *begin(const struct amx_insn *insn, u64 *vector)
{
	struct soft_cpu *soft = fpu_tiles_get();

	*vector = GOES_ON;
	if (!soft) {
		*vector = fpu_has_registers(&current->fpu) ? EMULATED : EXC_UNDEFINED;
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
	const struct operand *memory = &insn->memory;
	u64 base = operand_register(regs, memory->base) + (u64)memory->displacement, vector;
	u64 stride = operand_register(regs, memory->index) << memory->scale;
	bool load = insn->op == AMX_TILELOADD, more;
	u8 data[AMX_COLSB];

	if (load)
		amx_load_start(&soft->tiles, insn->tile);
	do {
		u32 n = soft->tiles.config.colsb[insn->tile], row = soft->tiles.config.start_row;

		if (!load)
			memcpy(data, amx_row(&soft->tiles, insn->tile), n);
		fpu_tiles_put();
		vector = operand_access(regs, memory, operand_linear(memory, base + row * stride), data, n, !load);
		if (vector)
			return vector;
		soft = fpu_tiles_get();
		if (!soft)
			return EMULATED;
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
	u64 vector = operand_access(regs, &insn->memory, address, &config, sizeof(config), false);

	if (!vector && !amx_config_valid(&config))
		vector = EXC_PROTECTION;
	if (vector || !(soft = begin(insn, &vector)))
		return vector;
	amx_configure(&soft->tiles, &config);
	fpu_tiles_put();
	return GOES_ON;
}

u64 tile_execute(struct regs *regs, const struct amx_insn *insn)
{
	u64 vector, address = operand_address(regs, &insn->memory);
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
	if (insn->op != AMX_STTILECFG)
		return GOES_ON;
	return operand_access(regs, &insn->memory, address, &config, sizeof(config), true);
}
