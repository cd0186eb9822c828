/*
 * threads.h - threads for the boot tests: started on a stack of their own, joined by the tid that
 * the kernel clears. A thread must not print: its stack is small, and the test may be over.
 */
#ifndef THREADS_H
#define THREADS_H

#include "ktap.h"

#define THREAD_STACK	(16 * PAGE_SIZE)
#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |	\
			 CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define THREADS		6

struct thread {
	int tid;			/* cleared and woken by the kernel when the thread ends */
	int ptid;
	void *stack;
	uint64_t tls[4];
};

static struct thread threads[THREADS];

static inline long thread_start(struct thread *t, int (*f)(void *), void *argument, long more_flags)
{
	t->stack = (void *)mmap(NULL, THREAD_STACK, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t->tid = 1;
	t->tls[0] = (uint64_t)t->tls;
	return clone_thread(THREAD_FLAGS | more_flags, (char *)t->stack + THREAD_STACK, &t->ptid,
			    &t->tid, t->tls, f, argument);
}

static inline void thread_join(struct thread *t)
{
	int v;

	while ((v = *(volatile int *)&t->tid) != 0)
		futex(&t->tid, FUTEX_WAIT, (uint32_t)v, NULL);
	munmap(t->stack, THREAD_STACK);
}

#endif
