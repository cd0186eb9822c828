/*
 * threads.c - POSIX threads: create and join, mutexes, conditions, barriers, semaphores, once, keys
 * and thread-local variables. Every result is a sum that a lost wake-up or a shared register would
 * change.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS 2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_barrier_t barrier;
static pthread_key_t key;
static sem_t items, room;
static long counter, turn, ring[4], destroyed;
static int once_count;
static __thread long own = 100;

static void run(const char *name, void *(*function)(void *), int n)
{
	pthread_t threads[THREADS];
	long sum = 0;
	void *result;

	for (long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, function, (void *)i)) {
			printf("%s: no thread %ld\n", name, i);
			exit(1);
		}
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	printf("%s: sum of results %ld, counter %ld\n", name, sum, counter);
	counter = 0;
}

static void *count(void *id)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		own += (long)id;
	}
	return (void *)own;
}

static void *take_turns(void *id)
{
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % THREADS != (long)id)
			pthread_cond_wait(&condition, &mutex);
		turn++;
		counter = counter * 3 % 1000003 + (long)id;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return id;
}

static void *meet(void *id)
{
	long serial = 0;

	for (int i = 0; i < 50; i++)
		serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
	__atomic_add_fetch(&counter, serial, __ATOMIC_SEQ_CST);
	return id;
}

/* Thread 0 produces, thread 1 consumes. */
static void *hand_over(void *id)
{
	long sum = 0;

	for (long i = 0; i < 1000; i++) {
		sem_wait(id ? &items : &room);
		if (id)
			sum += ring[i % 4];
		else
			ring[i % 4] = i;
		sem_post(id ? &room : &items);
	}
	return (void *)sum;
}

static void init_once(void)
{
	once_count++;
}

static void destroy(void *value)
{
	__atomic_add_fetch(&destroyed, (long)value, __ATOMIC_SEQ_CST);
}

static void *odds_and_ends(void *id)
{
	pthread_once(&once, init_once);
	pthread_setspecific(key, (void *)((long)id + 1));
	for (int i = 0; i < 100; i++) {
		pthread_rwlock_rdlock(&rwlock);
		if (counter % 2)
			abort();
		pthread_rwlock_unlock(&rwlock);
		pthread_rwlock_wrlock(&rwlock);
		counter++;
		sched_yield();
		counter++;
		pthread_rwlock_unlock(&rwlock);
	}
	if ((long)id == 3)
		pthread_exit((void *)1000L);
	return (void *)(long)pthread_equal(pthread_self(), pthread_self());
}

/* A chaotic series: one wrong bit anywhere and the end is another one. */
static void *float_chaos(void *id)
{
	double x = 0.1 + (double)(long)id / 100, y = 0.3;
	long double z = 0.25L + (long)id;
	union {
		double d;
		uint64_t u;
	} end;

	for (int i = 0; i < 300000; i++) {
		x = 3.99 * x * (1 - x);
		y = y * 0.75 + x;
		z = z * 0.5L + x;
	}
	end.d = x + y + (double)z;
	return (void *)(end.u >> 8);
}

static void timed_out(void)
{
	struct timespec until;
	int result;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&mutex);
	do
		result = pthread_cond_timedwait(&condition, &mutex, &until);
	while (!result);
	pthread_mutex_unlock(&mutex);
	printf("timed wait: %d, timed out %d\n", result, result == ETIMEDOUT);
}

static void *forever(void *id)
{
	for (;;)
		sched_yield();
	return id;
}

int main(void)
{
	pthread_t loser;

	pthread_barrier_init(&barrier, NULL, THREADS);
	sem_init(&items, 0, 0);
	sem_init(&room, 0, 4);
	pthread_key_create(&key, destroy);
	run("mutex", count, THREADS);
	run("condition", take_turns, THREADS);
	run("barrier", meet, THREADS);
	run("semaphore", hand_over, 2);
	run("odds and ends", odds_and_ends, THREADS);
	run("floating point", float_chaos, 4);
	printf("once %d, keys %ld, own %ld\n", once_count, destroyed, own);
	timed_out();
	pthread_create(&loser, NULL, forever, NULL);
	exit(9); /* with threads still running */
}
