/*
 * locks.c - the locks of POSIX threads at their edges: kinds of mutexes, those of dead holders,
 * between processes, with time limits; many waiters woken at once; detached threads, and a process
 * whose first thread goes first. Every line is the same on every run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

static struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	pthread_barrier_t barrier;
	long counter, turn;
} *shared;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static long waiting, gone, generation, counter;

static void join_all(pthread_t *threads, int n)
{
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void start(pthread_t *thread, void *(*function)(void *), long id)
{
	if (pthread_create(thread, NULL, function, (void *)id)) {
		printf("no thread %ld\n", id);
		exit(1);
	}
}

static struct timespec soon(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void init_mutex(pthread_mutex_t *m, int type, int robust, int pshared)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_setpshared(&attr, pshared);
	printf("mutex of type %d, robust %d, shared %d: %d\n", type, robust, pshared,
	       pthread_mutex_init(m, &attr));
	pthread_mutexattr_destroy(&attr);
}

static void kinds(void)
{
	pthread_mutex_t m;

	init_mutex(&m, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE);
	for (int i = 0; i < 3; i++)
		printf("recursive: %d\n", pthread_mutex_lock(&m));
	for (int i = 0; i < 4; i++)
		printf("given back: %s\n", strerror(pthread_mutex_unlock(&m)));
	init_mutex(&m, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE);
	printf("checked: %d, ", pthread_mutex_lock(&m));
	printf("%d, ", pthread_mutex_lock(&m));
	printf("%d, ", pthread_mutex_unlock(&m));
	printf("%d\n", pthread_mutex_unlock(&m));
}

static void *die_with_lock(void *m)
{
	pthread_mutex_lock(m);
	return NULL;
}

static void *wait_for_lock(void *m)
{
	int result = pthread_mutex_lock(m);

	if (result == EOWNERDEAD)
		__atomic_add_fetch(&gone, 1, __ATOMIC_SEQ_CST);
	if (result == EOWNERDEAD)
		pthread_mutex_consistent(m);
	counter++;
	pthread_mutex_unlock(m);
	return NULL;
}

static int held;

static void *die_while_others_wait(void *m)
{
	pthread_mutex_lock(m);
	__atomic_store_n(&held, 1, __ATOMIC_SEQ_CST);
	usleep(30000);
	return NULL;
}

static void dead_holders(void)
{
	pthread_t threads[THREADS];
	pthread_mutex_t m;

	init_mutex(&m, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_PRIVATE);
	pthread_create(&threads[0], NULL, die_with_lock, &m);
	join_all(threads, 1);
	printf("holder dead: %d, ", pthread_mutex_trylock(&m) == EOWNERDEAD);
	printf("consistent: %d, ", pthread_mutex_consistent(&m));
	printf("unlocked: %d, ", pthread_mutex_unlock(&m));
	printf("again: %d\n", pthread_mutex_lock(&m));
	pthread_mutex_unlock(&m);

	pthread_create(&threads[0], NULL, die_while_others_wait, &m);
	while (!__atomic_load_n(&held, __ATOMIC_SEQ_CST))
		usleep(1000);
	for (int i = 1; i < THREADS; i++)
		pthread_create(&threads[i], NULL, wait_for_lock, &m);
	join_all(threads, THREADS);
	printf("told so: %ld, got it: %ld\n", gone, counter);

	pthread_create(&threads[0], NULL, die_with_lock, &m);
	join_all(threads, 1);
	printf("not repaired: %d, ", pthread_mutex_lock(&m) == EOWNERDEAD);
	pthread_mutex_unlock(&m);
	printf("%d\n", pthread_mutex_lock(&m) == ENOTRECOVERABLE);
}

/* In memory that processes share: a turn for each, and one that dies with the lock. */
static void processes(void)
{
	pthread_condattr_t ca;
	pthread_barrierattr_t ba;
	int status;

	init_mutex(&shared->mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST,
		   PTHREAD_PROCESS_SHARED);
	pthread_condattr_init(&ca);
	pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->condition, &ca);
	pthread_barrierattr_init(&ba);
	pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &ba, 4);
	fflush(stdout);
	for (long id = 0; id < 4; id++)
		if (fork() == 0) {
			for (int i = 0; i < 50; i++) {
				pthread_mutex_lock(&shared->mutex);
				while (shared->turn % 4 != id)
					pthread_cond_wait(&shared->condition, &shared->mutex);
				shared->turn++;
				shared->counter = shared->counter * 3 % 1000003 + id;
				pthread_cond_broadcast(&shared->condition);
				pthread_mutex_unlock(&shared->mutex);
			}
			for (int i = 0; i < 20; i++)
				pthread_barrier_wait(&shared->barrier);
			_exit(0);
		}
	for (int i = 0; i < 4; i++) {
		wait(&status);
		printf("process: %x\n", status);
	}
	printf("turns %ld, counter %ld\n", shared->turn, shared->counter);
	fflush(stdout);
	if (fork() == 0) {
		pthread_mutex_lock(&shared->mutex);
		_exit(3);
	}
	wait(&status);
	printf("process: %x, holder dead: %d\n", status,
	       pthread_mutex_lock(&shared->mutex) == EOWNERDEAD);
}

static void *hold_all(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	waiting = 1;
	while (waiting)
		usleep(1000);
	pthread_rwlock_unlock(&rwlock);
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void time_limits(void)
{
	struct timespec t = soon(20), past = { 1, 0 }, bad = { 0, -1 };
	pthread_t thread;

	start(&thread, hold_all, 0);
	while (!waiting)
		usleep(1000);
	printf("mutex: %d %d %d\n", pthread_mutex_timedlock(&mutex, &t) == ETIMEDOUT,
	       pthread_mutex_timedlock(&mutex, &past) == ETIMEDOUT,
	       pthread_mutex_timedlock(&mutex, &bad) == EINVAL);
	t = soon(20);
	printf("lock to read: %d, to write: %d, tried: %d\n",
	       pthread_rwlock_timedrdlock(&rwlock, &t) == ETIMEDOUT,
	       pthread_rwlock_timedwrlock(&rwlock, &past) == ETIMEDOUT,
	       pthread_rwlock_tryrdlock(&rwlock) == EBUSY);
	waiting = 0;
	pthread_join(thread, NULL);
	t = soon(1000);
	printf("free again: %d %d\n", pthread_mutex_timedlock(&mutex, &t),
	       pthread_rwlock_timedrdlock(&rwlock, &t));
	pthread_mutex_unlock(&mutex);
	pthread_rwlock_unlock(&rwlock);
}

/* All wait, all are woken, a hundred times. */
static void *herd(void *id)
{
	for (long round = 1; round <= 100; round++) {
		pthread_mutex_lock(&mutex);
		waiting++;
		while (generation < round)
			pthread_cond_wait(&condition, &mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return id;
}

static void broadcasts(void)
{
	pthread_t threads[THREADS];

	counter = waiting = 0;
	for (long i = 0; i < THREADS; i++)
		start(&threads[i], herd, i);
	for (int round = 0; round < 100; round++) {
		pthread_mutex_lock(&mutex);
		while (waiting < THREADS) {
			pthread_mutex_unlock(&mutex);
			sched_yield();
			pthread_mutex_lock(&mutex);
		}
		waiting = 0;
		generation++;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	join_all(threads, THREADS);
	printf("woken %ld\n", counter);
}

static void *spin_count(void *id)
{
	for (int i = 0; i < 500; i++) {
		pthread_spin_lock(&spin);
		counter++;
		pthread_spin_unlock(&spin);
	}
	return id;
}

static __thread char own[5000] = "mine";

static void *detached(void *id)
{
	if (strcmp(own, "mine"))
		abort();
	memset(own, (int)(long)id, sizeof(own));
	__atomic_add_fetch(&gone, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Stacks and thread-local memory are used again and again. */
static void many(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t attr;
	cpu_set_t cpus;

	pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
	counter = gone = 0;
	for (long i = 0; i < THREADS; i++)
		start(&threads[i], spin_count, i);
	join_all(threads, THREADS);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 65536);
	for (long i = 0; i < 200; i++) {
		while (pthread_create(&threads[0], &attr, detached, (void *)i))
			usleep(1000);
		while (__atomic_load_n(&gone, __ATOMIC_SEQ_CST) <= i)
			sched_yield();
	}
	printf("counted %ld, detached %ld\n", counter, gone);
	printf("affinity: %d, some CPU: %d\n", sched_getaffinity(0, sizeof(cpus), &cpus),
	       CPU_COUNT(&cpus) > 0);
	CPU_ZERO(&cpus);
	printf("no CPU: %d, ", sched_setaffinity(0, sizeof(cpus), &cpus));
	printf("%d\n", errno == EINVAL);
	CPU_SET(0, &cpus);
	printf("CPU 0: %d, ", sched_setaffinity(0, sizeof(cpus), &cpus));
	printf("there: %d\n", sched_getcpu() == 0);
}

static void *last(void *id)
{
	usleep(20000);
	printf("the last thread, %s\n", syscall(SYS_gettid) == getpid() ? "the first too" : "not the first");
	fflush(stdout);
	return id;
}

int main(void)
{
	pthread_t thread;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	kinds();
	dead_holders();
	processes();
	time_limits();
	broadcasts();
	many();
	start(&thread, last, 0);
	pthread_exit(NULL);
}
