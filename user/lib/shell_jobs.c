/*
 * shell_jobs.c - the shell's background jobs: who belongs to which pipeline, and what has
 * ended. A job's status is that of its last process. It must never wait for a process
 * that is not in a job: the shell waits for those itself.
 */
#include <shell.h>

struct job {
	struct job *next;
	int *pids;		/* 0 for those that have ended */
	int count, left;
	int last, status;
	char text[64];
};

static struct job *jobs;

void job_add(int *pids, int count, const char *text)
{
	struct job *j = malloc(sizeof(*j)), **at = &jobs;

	*j = (struct job){ NULL, pids, count, count, pids[count - 1], 0, "" };
	snprintf(j->text, sizeof(j->text), "%s", text);
	while (*at)
		at = &(*at)->next;
	*at = j;
	printf("[%d]\n", j->last);
}

static void ended(int pid, int status)
{
	for (struct job *j = jobs; j; j = j->next)
		for (int i = 0; i < j->count; i++) {
			if (j->pids[i] != pid)
				continue;
			j->pids[i] = 0;
			j->left--;
			if (pid == j->last)
				j->status = WIFEXITED(status) ? WEXITSTATUS(status) :
					    128 + WTERMSIG(status);
		}
}

void jobs_reap(int wait)
{
	int status;
	long pid;

	while (jobs && (pid = wait4(-1, &status, wait ? 0 : WNOHANG)) > 0)
		ended((int)pid, status);
}

void jobs_report(void)
{
	for (struct job **at = &jobs; *at;) {
		struct job *j = *at;

		if (j->left > 0) {
			at = &j->next;
			continue;
		}
		if (j->status)
			printf("[%d] done, status %d: %s\n", j->last, j->status, j->text);
		else
			printf("[%d] done: %s\n", j->last, j->text);
		*at = j->next;
		free(j->pids);
		free(j);
	}
}

void jobs_list(void)
{
	for (struct job *j = jobs; j; j = j->next)
		printf("[%d] %s: %s\n", j->last, j->left ? "running" : "done", j->text);
}
