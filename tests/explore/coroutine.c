/* The one piece of assembler. See coroutine.h. */
#include <string.h>

#include "tests/explore/coroutine.h"

u8 stacks[TASKS][STACK_SIZE] __attribute__((aligned(16)));

asm(".text\n"
    ".globl coroutine_swap\n"
    "coroutine_swap:\n\t"
    "pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
    "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
    "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\t"
    "ret\n");

void coroutine_init(u32 task, void (*entry)(void))
{
	void **sp = (void **)(stacks[task] + STACK_SIZE) - 8;

	memset(sp, 0, 8 * sizeof(void *));
	sp[6] = (void *)entry;
	world.task[task].sp = sp;
}
