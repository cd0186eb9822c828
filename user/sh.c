/*
 * sh [-c LINE | FILE] - the shell: pipelines of programs and built-in commands.
 *
 *   line     = pipeline { (";" | "&") pipeline }
 *   pipeline = stage { "|" stage }
 *   stage    = { WORD | "<" WORD | ">" WORD }
 *
 * With a terminal in line mode on fd 0 it edits lines, keeps a history, and gives each
 * foreground pipeline the terminal as a process group of its own; otherwise it reads
 * lines and prints no prompt. It must never end because of what a program did.
 */
#include <shell.h>

#define PROMPT	"tarry$ "

struct stage {
	char **argv;			/* points into args */
	int argc;
	const char *in, *out;
};

static struct token tokens[MAX_TOKENS];
static char *args[MAX_TOKENS * 2];	/* the argument vectors of one pipeline */
static struct stage stages[MAX_TOKENS];
static int interactive, last_status;

struct builtin {
	const char *name, *help;
	int (*run)(int argc, char **argv);
};
static const struct builtin *find_builtin(const char *name);

static void set_foreground(int group)
{
	if (interactive)
		ioctl(0, TIOCSPGRP, &group);
}

/* The words of one stage; returns the token after it, NULL on a mistake. */
static struct token *parse_stage(struct token *t, struct stage *s, char ***free_args)
{
	*s = (struct stage){ .argv = *free_args };
	for (; t->kind == 'w' || t->kind == '<' || t->kind == '>'; t++) {
		if (t->kind == 'w') {
			s->argv[s->argc++] = t->text;
			continue;
		}
		if (t[1].kind != 'w')
			return NULL;
		if (t->kind == '<')
			s->in = t[1].text;
		else
			s->out = t[1].text;
		t++;
	}
	s->argv[s->argc] = NULL;
	*free_args += s->argc + 1;
	return s->argc ? t : NULL;
}

static int redirect(const char *path, int flags, int to)
{
	long fd = open(path, flags);

	if (fd < 0) {
		dprintf(2, "sh: %s: %s\n", path, error_text(fd));
		return -1;
	}
	dup2((int)fd, to);
	close((int)fd);
	return 0;
}

/* Becomes the stage; does not return. */
static void run_stage(const struct stage *s)
{
	const struct builtin *b = find_builtin(s->argv[0]);
	int error;

	if (s->in && redirect(s->in, O_RDONLY, 0) < 0)
		exit(1);
	if (s->out && redirect(s->out, O_WRONLY | O_CREAT | O_TRUNC, 1) < 0)
		exit(1);
	if (b)
		exit(b->run(s->argc, s->argv));
	error = exec_path(s->argv);
	dprintf(2, "sh: %s: %s\n", s->argv[0],
		error == -ENOENT ? "command not found" : error_text(error));
	exit(error == -ENOENT ? 127 : 126);
}

/*
 * Starts stage i between the pipe `in` and a new one, unless it is the last; returns its
 * pid. A background pipeline reads an empty pipe instead of the terminal.
 */
static int start_stage(int i, int count, int *in, int *pids, int background)
{
	int fds[2] = { -1, -1 };
	long pid;

	if (i == 0 && background) {
		pipe(fds);
		close(fds[1]);
		*in = fds[0];
		fds[0] = fds[1] = -1;
	}
	if (i + 1 < count && pipe2(fds, 0) < 0) {
		dprintf(2, "sh: cannot make a pipe\n");
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		if (interactive) {
			setpgid(0, pids[0]);
			if (!background)
				set_foreground(pids[0] ? pids[0] : (int)getpid());
		}
		if (*in >= 0) {
			dup2(*in, 0);
			close(*in);
		}
		if (fds[1] >= 0) {
			dup2(fds[1], 1);
			close(fds[0]);
			close(fds[1]);
		}
		run_stage(&stages[i]);
	}
	if (pid < 0)
		dprintf(2, "sh: cannot fork: %s\n", error_text(pid));
	else if (interactive)
		setpgid((int)pid, pids[0] ? pids[0] : (int)pid);
	if (*in >= 0)
		close(*in);
	if (fds[1] >= 0)
		close(fds[1]);
	*in = fds[0];
	return (int)pid;
}

static void wait_foreground(const int *pids, int count)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		int signal;

		if (wait4(pids[i], &status, 0) < 0)
			continue;
		signal = WTERMSIG(status);
		if (!WIFEXITED(status) && signal != SIGINT && signal != SIGPIPE)
			dprintf(2, "%s: %s\n", stages[i].argv[0], signal_text(signal));
		last_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + signal;
	}
	if (interactive && last_status == 128 + SIGINT)
		dprintf(1, "\n");
}

static void run_pipeline(int count, int background)
{
	const struct builtin *b = find_builtin(stages[0].argv[0]);
	int *pids, in = -1, started = 0;

	if (b && count == 1 && !background && !stages[0].in && !stages[0].out) {
		last_status = b->run(stages[0].argc, stages[0].argv);
		return;
	}
	pids = calloc((size_t)count, sizeof(*pids));
	if (!pids)
		return;
	if (interactive && !background)
		terminal_restore();
	while (started < count) {
		int pid = start_stage(started, count, &in, pids, background);

		if (pid < 0)
			break;
		pids[started++] = pid;
	}
	if (in >= 0)
		close(in);
	last_status = started < count;
	if (background && started > 0) {
		job_add(pids, started, stages[0].argv[0]);
		return;
	}
	wait_foreground(pids, started);
	free(pids);
	if (interactive && !background) {
		set_foreground((int)getpid());
		terminal_raw();
	}
}

static void complain(const char *what)
{
	dprintf(2, "sh: %s\n", what);
	last_status = 2;
}

static void run_line(const char *line)
{
	const char *complaint = "";
	long n;

	while ((n = shell_tokens(&line, last_status, tokens, &complaint)) > 0) {
		struct token *t = tokens;
		char **free_args = args;
		int count = 0;

		do {
			t = parse_stage(count ? t + 1 : t, &stages[count], &free_args);
			count++;
		} while (t && t->kind == '|');
		if (!t) {
			complain("a command is missing");
			return;
		}
		run_pipeline(count, t->kind == '&');
	}
	if (n < 0)
		complain(complaint);
}

static int builtin_cd(int argc, char **argv)
{
	const char *to = argc > 1 ? argv[1] : "/";
	long r = chdir(to);

	if (r < 0)
		dprintf(2, "cd: %s: %s\n", to, error_text(r));
	return r < 0;
}

static int builtin_exit(int argc, char **argv)
{
	if (interactive)
		terminal_restore();
	exit(argc > 1 ? atoi(argv[1]) & 0xff : last_status);
}

static int builtin_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s%s", argv[i], i + 1 < argc ? " " : "");
	printf("\n");
	return 0;
}

static int builtin_wait(int argc, char **argv)
{
	(void)argc, (void)argv;
	jobs_reap(1);
	jobs_report();
	return 0;
}

static int builtin_jobs(int argc, char **argv)
{
	(void)argc, (void)argv;
	jobs_reap(0);
	jobs_list();
	return 0;
}

static int builtin_history(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int back = HISTORY_LINES; back > 0; back--)
		if (history_get(back))
			printf("%4d  %s\n", -back, history_get(back));
	return 0;
}

static int builtin_help(int argc, char **argv);

static const struct builtin builtins[] = {
	{ "cd", "DIR: go to a directory", builtin_cd },
	{ "echo", "WORD...: write the words", builtin_echo },
	{ "exit", "[STATUS]: end the shell", builtin_exit },
	{ "help", ": this list", builtin_help },
	{ "history", ": the last lines typed", builtin_history },
	{ "jobs", ": what runs in the background", builtin_jobs },
	{ "wait", ": until the background is done", builtin_wait },
};

static int builtin_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
		printf("  %s %s\n", builtins[i].name, builtins[i].help);
	printf("  A | B   A &   A ; B   A < FILE   A > FILE   \"$NAME\"   $?\n"
	       "Ctrl-T holds the machine and shows who owns the registers; space is the next step, q ends it\n"
	       "Programs are in /bin: try  ls /bin | head -n 5\n");
	return 0;
}

static const struct builtin *find_builtin(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return &builtins[i];
	return NULL;
}

static void prompt_loop(void)
{
	char line[LINE_SIZE];
	int end = 0;

	setpgid(0, 0);
	set_foreground((int)getpid());
	terminal_raw();
	while (!end) {
		long n;

		jobs_reap(0);
		jobs_report();
		n = edit_line(PROMPT, line, &end);
		if (n <= 0) {
			last_status = n == -EINTR ? 128 + SIGINT : last_status;
			continue;
		}
		history_add(line);
		run_line(line);
	}
	terminal_restore();
}

int main(int argc, char **argv)
{
	static struct line_reader input;
	char line[LINE_SIZE];

	if (argc > 2 && strcmp(argv[1], "-c") == 0) {
		run_line(argv[2]);
		return last_status;
	}
	if (argc > 1) {
		input.fd = open_or_complain("sh", argv[1]);
		if (input.fd < 0)
			return 127;
	} else if (terminal_is_interactive()) {
		interactive = 1;
		prompt_loop();
		return last_status;
	}
	while (read_line(&input, line, sizeof(line)) > 0) {
		run_line(line);
		jobs_reap(0);
		jobs_report();
	}
	return last_status;
}
