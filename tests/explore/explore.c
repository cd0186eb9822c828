/*
 * The program: which configurations are searched, several at a time in processes of their own, whose output comes in
 * order; or walks.
 *
 *   explore [--cpus N] [PREFIX]        configurations whose names begin so, on one CPU, two, or both
 *   explore --walk SECONDS [SEED]      random walks for so long; a count with a w behind it is a number of walks
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/explore/passes.h"
#include "tests/explore/story.h"
#include "tests/explore/walk.h"

#define CONFIGS_OF_POLICY 12 /* three modes for integer-only tasks, ungated or not, one CPU or two */

static const char *const policies[] = { "deferred", "eager", "lazy" };
static const char *const modes[] = { NULL, "init", "ts" };

struct job {
	struct config config;
	char name[80];
	FILE *out;
	pid_t pid;
};

static struct job jobs[ARRAY_SIZE(policies) * CONFIGS_OF_POLICY];
static u32 n_jobs;
static bool long_run;
static enum verdict { NONE, GOOD, BAD } *verdicts; /* of each job; shared by all processes */
static bool (*taken_by[ARRAY_SIZE(policies)])[FPU_STATES][FPU_STATES];

static u32 policy_number(const char *name)
{
	u32 i = 0;

	while (strcmp(policies[i], name))
		i++;
	return i;
}

static void add_job(u32 i, u8 cpus, const char *prefix)
{
	struct job *job = &jobs[n_jobs];

	*job = (struct job){ 0 };
	job->config = (struct config){ .policy = policies[i / 6], .intonly = modes[i / 2 % 3], .ungated = i % 2, .cpus = cpus };
	snprintf(job->name, sizeof(job->name), "%s%s", config_name(&job->config), cpus > 1 ? ", 2 CPUs" : "");
	n_jobs += !strncmp(job->name, prefix, strlen(prefix));
}

static void *shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* What transitions a policy's processes take is in memory that they share. */
static void share_taken(void)
{
	verdicts = shared(sizeof(*verdicts) * ARRAY_SIZE(jobs));
	for (u32 i = 0; i < ARRAY_SIZE(policies); i++)
		taken_by[i] = shared(sizeof(bool[FPU_EVENTS][FPU_STATES][FPU_STATES]));
}

static void start_job(struct job *job)
{
	job->out = tmpfile();
	fflush(stdout);
	job->pid = fork();
	if (job->pid)
		return;
	dup2(fileno(job->out), STDOUT_FILENO);
	taken = taken_by[policy_number(job->config.policy)];
	verdicts[job - jobs] = explore_config(job->config, job->name, long_run) ? GOOD : BAD;
	exit(0);
}

static void print_output(const struct job *job)
{
	char line[256];

	rewind(job->out);
	while (fgets(line, sizeof(line), job->out))
		fputs(line, stdout);
	fflush(stdout);
	fclose(job->out);
}

/* A process that did not come to a verdict has failed, whatever its status says. */
static bool end_job(struct job *job)
{
	enum verdict verdict;
	int status = 0;

	waitpid(job->pid, &status, 0);
	print_output(job);
	verdict = status ? NONE : verdicts[job - jobs];
	if (verdict == NONE)
		printf("  ended without a verdict, status %x\nFAIL %s\n", (unsigned)status, job->name);
	return verdict == GOOD;
}

static bool run_jobs(void)
{
	u32 started = 0, at_once = (u32)sysconf(_SC_NPROCESSORS_ONLN);
	bool good = true;

	for (u32 i = 0; i < n_jobs; i++) {
		while (started < n_jobs && started < i + at_once)
			start_job(&jobs[started++]);
		good = end_job(&jobs[i]) && good;
	}
	return good;
}

/* Only what has been searched whole can have taken every transition. */
static bool tell_all_coverage(void)
{
	u32 searched[ARRAY_SIZE(policies)] = { 0 };
	bool good = true;

	for (u32 i = 0; i < n_jobs; i++)
		searched[policy_number(jobs[i].config.policy)] += jobs[i].config.cpus == 1;
	for (u32 i = 0; i < ARRAY_SIZE(policies); i++) {
		taken = taken_by[i];
		if (searched[i] == CONFIGS_OF_POLICY / 2)
			good = tell_coverage(policies[i]) && good;
	}
	return good;
}

static bool explore(const char *cpus, const char *prefix)
{
	bool good;

	long_run = !cpus;
	share_taken();
	for (u8 n = 1; n <= 2; n++)
		for (u32 i = 0; i < 6 * ARRAY_SIZE(policies) && (!cpus || n == atoi(cpus)); i++)
			add_job(i, n, prefix);
	good = run_jobs();
	return tell_all_coverage() && good && n_jobs;
}

static bool walk_about(const char *length, const char *seed)
{
	struct walks walks = { .seed = seed ? strtoul(seed, NULL, 0) : 1 };
	u32 number = (u32)strtoul(length, NULL, 0);

	share_taken();
	taken = taken_by[0];
	*(length[strlen(length) - 1] == 'w' ? &walks.count : &walks.seconds) = number;
	return walk(&walks);
}

int main(int argc, char **argv)
{
	const char *cpus = NULL;

	if (argc > 2 && !strcmp(argv[1], "--walk"))
		return !walk_about(argv[2], argc > 3 ? argv[3] : NULL);
	if (argc > 2 && !strcmp(argv[1], "--cpus")) {
		cpus = argv[2];
		argv += 2;
		argc -= 2;
	}
	return !explore(cpus, argc > 1 ? argv[1] : "");
}
