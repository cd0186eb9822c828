/*
 * clocks.c - clocks and sleeping. Prints only what must be true anywhere, never a time: upper
 * bounds are loose because the host may be busy.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000l

static int64_t now(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		return -1;
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void check(const char *what, int64_t start, int64_t least)
{
	int64_t took = now(CLOCK_MONOTONIC) - start;

	printf("%s: long enough %d, not for ever %d\n", what, took >= least,
	       took < least + 5000 * MS);
}

static void monotonic(void)
{
	int64_t last = now(CLOCK_MONOTONIC), backwards = 0, steps = 0;

	for (int i = 0; i < 20000; i++) {
		int64_t t = now(CLOCK_MONOTONIC);

		backwards += t < last;
		steps += t > last;
		last = t;
	}
	printf("monotonic: %d backwards, fine steps %d\n", (int)backwards, steps > 100);
}

static void sleeping(void)
{
	struct timespec t = { 0, 30 * MS }, left = { 5, 5 };
	int64_t start = now(CLOCK_MONOTONIC);

	printf("nanosleep %d\n", nanosleep(&t, &left));
	check("nanosleep", start, 30 * MS);
	start = now(CLOCK_MONOTONIC);
	usleep(20000);
	check("usleep", start, 20 * MS);
	start = now(CLOCK_MONOTONIC) + 25 * MS;
	t = (struct timespec){ start / 1000000000, start % 1000000000 };
	printf("until %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	check("until", start - 25 * MS, 25 * MS);
	start = now(CLOCK_MONOTONIC);
	t = (struct timespec){ 1, 0 };
	printf("in the past %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	check("in the past", start, 0);
}

static void refused(void)
{
	struct timespec t = { 0, 1000000000 };
	int result = nanosleep(&t, NULL);

	printf("%d %s\n", result, strerror(errno));
	t = (struct timespec){ -1, 0 };
	result = nanosleep(&t, NULL);
	printf("%d %s\n", result, strerror(errno));
	result = clock_gettime(99, &t);
	printf("%d %s\n", result, strerror(errno));
}

static void calendar(void)
{
	struct timeval tv;
	struct tm tm;
	time_t seconds = time(NULL), other;
	int64_t real = now(CLOCK_REALTIME) / 1000000000;

	gettimeofday(&tv, NULL);
	printf("time: %d, gettimeofday: %d\n", real - seconds <= 1 && real >= seconds,
	       tv.tv_sec - real <= 1);
	printf("this century: %d\n", seconds > 1700000000 && seconds < 4000000000);
	gmtime_r(&seconds, &tm);
	other = timegm(&tm);
	printf("round trip: %d, and %s", other == seconds,
	       asctime(gmtime(&(time_t){ 1488326400 })));
}

int main(void)
{
	struct timespec resolution;

	monotonic();
	sleeping();
	refused();
	calendar();
	printf("resolution: %d\n",
	       clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0);
	return 0;
}
