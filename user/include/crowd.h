/*
 * crowd.h - what one more idle thread takes of the machine's memory, for the two programs that ask: with vector
 * registers and without. The threads stand still in one instruction and need no stack, so that all that is counted
 * is the kernel's. Must not need a vector register.
 */
#ifndef CROWD_H
#define CROWD_H

#include <lib.h>

#define IDLE_TASKS 64
#define PATIENCE_MS 100
#define IDLE_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static volatile uint32_t leave;

/* It waits for *word to change, and ends. Gives its tid, or an error. */
static inline long idle_thread(volatile uint32_t *word)
{
	register long size __asm__("r10") = 0, none __asm__("r8") = 0;
	long result = SYS_clone;

	__asm__ volatile("syscall\n"
			 "testq %%rax, %%rax\n"
			 "jnz 2f\n"
			 "1: movl %[futex], %%eax\n"
			 "movq %[word], %%rdi\n"
			 "xorl %%esi, %%esi\n"
			 "xorl %%edx, %%edx\n"
			 "xorl %%r10d, %%r10d\n"
			 "syscall\n"
			 "cmpl $0, (%[word])\n"
			 "je 1b\n"
			 "movl %[exit], %%eax\n"
			 "xorl %%edi, %%edi\n"
			 "syscall\n"
			 "2:"
			 : "+a"(result)
			 : "D"(IDLE_THREAD_FLAGS), "S"(0), "d"(0), "r"(size), "r"(none), [word] "r"(word),
			   [futex] "i"(SYS_futex), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

static inline uint64_t free_bytes(void)
{
	struct tarry_stats s = { 0 };

	stats(&s, sizeof(s));
	return s.free_pages * PAGE_SIZE;
}

/* Bytes, or an error. Their memory is free again afterwards. */
static inline long memory_of_thread(void)
{
	uint64_t before = free_bytes(), after;
	long tid = 0;

	for (int i = 0; i < IDLE_TASKS && tid >= 0; i++)
		tid = idle_thread(&leave);
	after = free_bytes();
	leave = 1;
	futex((void *)&leave, FUTEX_WAKE, IDLE_TASKS, NULL);
	for (int i = 0; i < PATIENCE_MS && free_bytes() < before; i++)
		sleep_ms(1);
	return tid < 0 ? tid : (long)((before - after) / IDLE_TASKS);
}

#endif
