/*
 * Offsets and constants for the assembly files: compiled to assembly text, from which make takes the lines marked ->.
 */
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/insn.h"
#include "kernel/ldt.h"
#include "kernel/memory.h"
#include "kernel/smp.h"
#include "kernel/syscall.h"
#include "sched/task.h"

#define OUT(name, value) asm volatile("\n->" #name " equ %c0" ::"i"(value))

void offsets(void);
void offsets(void)
{
	OUT(ESPFIX_AREA_HIGH, (s32)(ESPFIX_AREA >> 32));
	OUT(ESPFIX_SLOT, ESPFIX_SLOT);
	OUT(ESPFIX_SHIFT, __builtin_ctz(ESPFIX_SLOT));
	OUT(SELECTOR_LDT, SELECTOR_LDT);
	OUT(KERNEL_BASE, KERNEL_BASE);
	OUT(DIRECT_MAP_SLOT, DIRECT_MAP_SLOT);
	OUT(TRAMPOLINE, TRAMPOLINE);
	OUT(CPU_ID, offsetof(struct cpu, id));
	OUT(CPU_CURRENT, offsetof(struct cpu, current_task));
	OUT(CPU_KERNEL_RSP, offsetof(struct cpu, tss.rsp[0]));
	OUT(CPU_LEFT, offsetof(struct cpu, left));
	OUT(CPU_RQ_LOCK, offsetof(struct cpu, rq.lock));
	OUT(CPU_USER_RSP, offsetof(struct cpu, user_rsp));
	OUT(REGS_R11, offsetof(struct regs, r11));
	OUT(REGS_RAX, offsetof(struct regs, rax));
	OUT(REGS_RDI, offsetof(struct regs, rdi));
	OUT(REGS_RSI, offsetof(struct regs, rsi));
	OUT(REGS_RDX, offsetof(struct regs, rdx));
	OUT(REGS_R10, offsetof(struct regs, r10));
	OUT(REGS_R8, offsetof(struct regs, r8));
	OUT(REGS_R9, offsetof(struct regs, r9));
	OUT(REGS_ORIG_RAX, offsetof(struct regs, orig_rax));
	OUT(REGS_RIP, offsetof(struct regs, rip));
	OUT(REGS_CS, offsetof(struct regs, cs));
	OUT(REGS_RSP, offsetof(struct regs, rsp));
	OUT(REGS_SIZE, sizeof(struct regs));
	OUT(USER_CS, USER_CS);
	OUT(USER_SS, USER_SS);
	OUT(MSR_GS_BASE, MSR_GS_BASE);
	OUT(TASK_NEED_FPU_LOAD, TASK_NEED_FPU_LOAD);
	OUT(TASK_FLAGS, offsetof(struct task, flags));
	OUT(TASK_RSP, offsetof(struct task, rsp));
	OUT(IST_STACK_SIZE, IST_STACK_SIZE);
	OUT(ENOSYS, ENOSYS);
	OUT(LINUX_CALLS, LINUX_CALLS);
	OUT(OWN_CALLS_FIRST, TARRY_SYS_FIRST);
	OUT(OWN_CALLS, OWN_CALLS);
}
