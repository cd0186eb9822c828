/*
 * shell_parse.c - cuts a line into words and operators, removes quotes and puts in $? and
 * $NAME. It must never run anything.
 */
#include <shell.h>

static char text[LINE_SIZE * 4];	/* all words of the pipeline, one after the other */
static size_t text_used;

static int put(char c)
{
	if (text_used >= sizeof(text))
		return -EINVAL;
	text[text_used++] = c;
	return 0;
}

static int is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* p is behind the $; returns where the line goes on, NULL if there is no room. */
static const char *expand(const char *p, int last_status)
{
	char name[64], number[16];
	const char *value = number;
	size_t n = 0;

	if (*p == '?') {
		snprintf(number, sizeof(number), "%d", last_status);
		p++;
	} else if (!is_name(*p)) {
		value = "$";
	} else {
		while (is_name(*p) && n + 1 < sizeof(name))
			name[n++] = *p++;
		name[n] = '\0';
		value = getenv(name);
	}
	for (; value && *value; value++)
		if (put(*value) < 0)
			return NULL;
	return p;
}

/* Reads one word into text; returns where the line goes on, NULL on a mistake. */
static const char *word(const char *p, int last_status, const char **complaint)
{
	char quote = 0;

	*complaint = "the line is too long";
	while (*p && (quote || !strchr(" \t|&;<>", *p))) {
		if (!quote && (*p == '\'' || *p == '"')) {
			quote = *p++;
		} else if (quote && *p == quote) {
			quote = 0;
			p++;
		} else if (*p == '$' && quote != '\'') {
			p = expand(p + 1, last_status);
			if (!p)
				return NULL;
		} else {
			if (*p == '\\' && quote != '\'' && p[1])
				p++;
			if (put(*p++) < 0)
				return NULL;
		}
	}
	if (quote)
		*complaint = "a quote is not closed";
	return quote || put('\0') < 0 ? NULL : p;
}

long shell_tokens(const char **line, int last_status, struct token tokens[MAX_TOKENS],
		  const char **complaint)
{
	const char *p = *line;
	long n = 0;

	text_used = 0;
	for (;;) {
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p == '\0' || *p == '#')
			break;
		if (n + 1 >= MAX_TOKENS) {
			*complaint = "too many words";
			return -EINVAL;
		}
		if (strchr("|&;<>", *p)) {
			tokens[n++] = (struct token){ *p, NULL };
			if (*p == ';' || *p == '&') {
				p++;
				break;
			}
			p++;
			continue;
		}
		tokens[n++] = (struct token){ 'w', text + text_used };
		p = word(p, last_status, complaint);
		if (!p)
			return -EINVAL;
	}
	tokens[n] = (struct token){ 0, NULL };
	*line = p;
	return n;
}
