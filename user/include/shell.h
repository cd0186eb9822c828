/*
 * shell.h - what the parts of the shell share: words and operators of a line, jobs and
 * the built-in commands. Used by user/sh.c and user/lib/shell_*.c only.
 */
#ifndef SHELL_H
#define SHELL_H

#include <lineedit.h>

#define MAX_TOKENS	(LINE_SIZE / 2 + 1)

/* A token is a word, or an operator: | & ; < > */
struct token {
	char kind;		/* 'w' for a word, else the operator, 0 at the end */
	char *text;		/* of a word */
};

/*
 * shell_parse.c: the tokens of the next pipeline with the ; or & behind it; moves *line on.
 * Returns their number, 0 at the end, or -EINVAL with *complaint set.
 */
long shell_tokens(const char **line, int last_status, struct token tokens[MAX_TOKENS],
		  const char **complaint);

/* shell_jobs.c: the pipelines that run in the background. */
void job_add(int *pids, int count, const char *text);	/* keeps pids, a malloc'd array */
void jobs_reap(int wait);	/* collect what has ended; wait: until nothing is left */
void jobs_report(void);		/* print and forget what has ended */
void jobs_list(void);

#endif
