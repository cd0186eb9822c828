/*
 * ENQCMD in software (manual, volume 2): 64 bytes are read, the PASID is put into them, and an enqueue store takes
 * them to a device, whose answer is ZF. The order of the checks: destination, source, PASID. An enqueue store to
 * anything but a device is dropped and says "retry"; where an ordinary store would fault it does, too. ENQCMDS is
 * the kernel's alone.
 */
#include "fpu/xstate.h"
#include "kernel/emulate.h"
#include "kernel/enqcmd.h"
#include "kernel/fault.h"
#include "kernel/traps.h"
#include "kernel/wq.h"

#define FLAGS_STATUS (BIT(0) | BIT(2) | BIT(4) | BIT(7) | BIT(11)) /* CF, PF, AF, SF, OF: cleared */
#define FLAGS_ZF BIT(6)

static u64 enqueue(struct regs *regs, u64 destination, const struct tarry_descriptor *command)
{
	bool device = wq_portal_at(destination);

	if (!device && fault_of_instruction(regs, destination, PF_USER | PF_WRITE))
		return EMULATED;
	regs->rflags &= ~(FLAGS_STATUS | FLAGS_ZF);
	if (!device || !wq_submit(command))
		regs->rflags |= FLAGS_ZF;
	return GOES_ON;
}

u64 enqcmd_execute(struct regs *regs, const struct enqcmd_insn *insn, u64 pasid)
{
	u64 destination = operand_register(regs, insn->destination), vector;
	struct tarry_descriptor command;

	if (insn->source.address32)
		destination = (u32)destination;
	if (insn->supervisor || destination % sizeof(command) || !canonical_address(destination))
		return EXC_PROTECTION;
	vector = operand_access(regs, &insn->source, operand_address(regs, &insn->source), &command, sizeof(command),
				false);
	if (vector)
		return vector;
	if (command.pasid || !(pasid & PASID_VALID))
		return EXC_PROTECTION;
	command.pasid = (u32)(pasid & PASID_MASK); /* and bit 31 clear: a user's */
	return enqueue(regs, destination, &command);
}
