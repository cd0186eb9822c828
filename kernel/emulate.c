/*
 * An instruction that the CPU lacks and Tarry models has raised #UD: fetched from the user's memory, decoded, and
 * handed to tiles.c or enqcmd.c, which reach the user's memory by what is here: through the user's mapping, with the
 * keys in force. Nothing is held while user memory is touched, for that may sleep.
 */
#include "fpu/frame.h"
#include "fpu/image.h"
#include "fpu/tiles.h"
#include "kernel/emulate.h"
#include "kernel/enqcmd.h"
#include "kernel/fault.h"
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/mm.h"
#include "kernel/tiles.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "sched/task.h"

#define RFLAGS_RF BIT(16)
#define ADDRESS_BITS 48

struct insn {
	bool is_tile;
	struct amx_insn tile;
	struct enqcmd_insn enqcmd;
};

u64 operand_register(const struct regs *regs, u8 number)
{
	const u64 value[] = {
		regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp, regs->rsi, regs->rdi,
		regs->r8, regs->r9, regs->r10, regs->r11, regs->r12, regs->r13, regs->r14, regs->r15,
		[INSN_NO_REGISTER] = 0, [INSN_RIP] = regs->rip,
	};

	return value[number];
}

u64 operand_linear(const struct operand *operand, u64 offset)
{
	if (operand->address32)
		offset = (u32)offset;
	if (operand->segment == SEGMENT_FLAT)
		return offset;
	return offset + rdmsr(operand->segment == SEGMENT_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE);
}

u64 operand_address(const struct regs *regs, const struct operand *operand)
{
	return operand_linear(operand, operand_register(regs, operand->base) + (u64)operand->displacement +
				       (operand_register(regs, operand->index) << operand->scale));
}

bool canonical_address(u64 address)
{
	s64 upper = (s64)address >> (ADDRESS_BITS - 1);

	return !upper || upper == -1;
}

/* A store to two pages must not write to the first if the second one faults. */
static bool store_faults(struct regs *regs, u64 address, u32 n)
{
	u64 second = ALIGN_DOWN(address + n - 1, PAGE_SIZE);

	return second > address && user_range(address, n) &&
	       (fault_of_instruction(regs, address, PF_USER | PF_WRITE) ||
		fault_of_instruction(regs, second, PF_USER | PF_WRITE));
}

u64 operand_access(struct regs *regs, const struct operand *operand, u64 address, void *data, u32 n, bool write)
{
	bool stack = operand->segment == SEGMENT_FLAT && (operand->base == INSN_RSP || operand->base == INSN_RBP);
	size_t left;

	if (!canonical_address(address) || !canonical_address(address + n - 1))
		return stack ? EXC_STACK : EXC_PROTECTION;
	if (write && store_faults(regs, address, n))
		return EMULATED;
	left = write ? copy_to_user_partial(address, data, n) : copy_from_user_partial(data, address, n);
	if (!left)
		return GOES_ON;
	address = user_range(address, n) ? address + n - left : MAX(address, USER_END);
	fault_of_instruction(regs, address, PF_USER | (write ? PF_WRITE : 0));
	return EMULATED;
}

/* As the decoders. A prefix may be that of either. */
static int decode(const u8 *bytes, u32 n, struct insn *insn)
{
	int wanted = amx_decode(bytes, n, &insn->tile);

	insn->is_tile = !wanted;
	return wanted < 0 ? enqcmd_decode(bytes, n, &insn->enqcmd) : wanted;
}

/*
 * The instruction at RIP: at first only its part on the first page, as a CPU would; the next page must be one that it
 * would execute. Keys don't count for a fetch.
 */
static u64 fetch(struct regs *regs, struct insn *insn)
{
	u8 bytes[MAX_INSN_LENGTH];
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
			wanted = decode(bytes, known, insn);
	}
	fpu_frame_close_keys(&current->fpu, keys);
	if (left) {
		fault_of_instruction(regs, regs->rip + known - left, PF_USER | PF_FETCH);
		return EMULATED;
	}
	return wanted ? EXC_UNDEFINED : GOES_ON;
}

/*
 * What ENQCMD takes from the CPU's registers is read before anybody else can run on the CPU, as the instruction
 * would.
 */
u64 emulate(struct regs *regs)
{
	u64 pasid, vector;
	struct insn insn;

	if (!fpu_tiles_modelled() || regs->cs != USER_CS)
		return EXC_UNDEFINED;
	pasid = fpu_pasid(&this_cpu->self->fpu);
	irq_enable();
	vector = fetch(regs, &insn);
	if (!vector)
		vector = insn.is_tile ? tile_execute(regs, &insn.tile) : enqcmd_execute(regs, &insn.enqcmd, pasid);
	irq_disable();
	if (vector)
		return vector;
	regs->rip += insn.is_tile ? insn.tile.length : insn.enqcmd.length;
	regs->rflags &= ~RFLAGS_RF;
	return regs->rflags & RFLAGS_TF ? EXC_DEBUG : EMULATED;
}
