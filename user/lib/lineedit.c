/*
 * lineedit.c - the line editor of the shell: one line, redrawn whole after each change,
 * scrolled sideways when it is wider than the screen. Works on a terminal that knows CR,
 * BS and the escape sequence for "erase to the end of the line". It must leave the terminal's
 * modes to its caller: only terminal_raw and terminal_restore change them.
 */
#include <lineedit.h>

struct editor {
	const char *prompt;
	char *line;
	size_t length, cursor;
	int back;			/* how far up the history, 0 is the line being typed */
	char typed[LINE_SIZE];		/* that line, while the history is shown */
};

enum { KEY_UP = 256, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE, KEY_NONE,
       KEY_EOF };

#define CTRL(c)	((c) & 0x1f)

static struct termios saved_modes;
static char history[HISTORY_LINES][LINE_SIZE];
static unsigned int history_count;

int terminal_is_interactive(void)
{
	return ioctl(0, TCGETS, &saved_modes) == 0 && (saved_modes.c_lflag & TTY_ICANON);
}

void terminal_raw(void)
{
	struct termios t = saved_modes;

	t.c_iflag &= ~(uint32_t)TTY_ICRNL;
	t.c_lflag &= ~(uint32_t)(TTY_ICANON | TTY_ECHO | TTY_ISIG);
	t.c_cc[TTY_VMIN] = 1;
	t.c_cc[TTY_VTIME] = 0;
	ioctl(0, TCSETS, &t);
}

void terminal_restore(void)
{
	ioctl(0, TCSETS, &saved_modes);
}

void history_add(const char *line)
{
	const char *newest = history_get(1);

	if (*line && !(newest && strcmp(newest, line) == 0))
		strcpy(history[history_count++ % HISTORY_LINES], line);
}

const char *history_get(int back)
{
	if (back < 1 || (unsigned int)back > history_count || back > HISTORY_LINES)
		return NULL;
	return history[(history_count - (unsigned int)back) % HISTORY_LINES];
}

static size_t screen_width(void)
{
	struct winsize w = { 0 };

	return ioctl(0, TIOCGWINSZ, &w) == 0 && w.columns >= 20 ? w.columns : 80;
}

static void redraw(const struct editor *e)
{
	size_t prompt = strlen(e->prompt), room = screen_width() - 1 - prompt;
	size_t first = e->cursor > room ? e->cursor - room : 0;
	size_t shown = e->length - first < room ? e->length - first : room;

	dprintf(1, "\r%s%.*s\033[K\r", e->prompt, (int)shown, e->line + first);
	dprintf(1, "\033[%uC", (unsigned int)(prompt + e->cursor - first));
}

/* A character at the end of a line that fits is shown by itself, without drawing again. */
static int append(struct editor *e, int key)
{
	char c = (char)key;

	if (key < ' ' || key > '~' || e->cursor != e->length || e->length + 1 >= LINE_SIZE ||
	    strlen(e->prompt) + e->length + 2 >= screen_width())
		return 0;
	e->line[e->cursor++] = c;
	e->length++;
	write(1, &c, 1);
	return 1;
}

static void insert(struct editor *e, char c)
{
	if (e->length + 1 >= LINE_SIZE)
		return;
	memmove(e->line + e->cursor + 1, e->line + e->cursor, e->length - e->cursor);
	e->line[e->cursor++] = c;
	e->length++;
}

static void erase(struct editor *e, size_t from, size_t to)
{
	memmove(e->line + from, e->line + to, e->length - to);
	e->length -= to - from;
	e->cursor = from;
}

static void erase_word(struct editor *e)
{
	size_t from = e->cursor;

	while (from > 0 && e->line[from - 1] == ' ')
		from--;
	while (from > 0 && e->line[from - 1] != ' ')
		from--;
	erase(e, from, e->cursor);
}

static void show_history(struct editor *e, int back)
{
	const char *line = back == 0 ? e->typed : history_get(back);

	if (!line)
		return;
	if (e->back == 0) {
		e->line[e->length] = '\0';
		strcpy(e->typed, e->line);
	}
	e->back = back;
	strcpy(e->line, line);
	e->length = e->cursor = strlen(line);
}

static int read_byte(void)
{
	unsigned char c;

	return read(0, &c, 1) == 1 ? c : KEY_EOF;
}

/* ESC [ letter, ESC O letter, ESC [ digits ~ */
static int read_escape(void)
{
	int c = read_byte(), number = 0;

	if (c != '[' && c != 'O')
		return KEY_NONE;
	while ((c = read_byte()) >= '0' && c <= '9')
		number = number * 10 + c - '0';
	switch (c) {
	case 'A': return KEY_UP;
	case 'B': return KEY_DOWN;
	case 'C': return KEY_RIGHT;
	case 'D': return KEY_LEFT;
	case 'H': return KEY_HOME;
	case 'F': return KEY_END;
	case '~':
		return number == 1 || number == 7 ? KEY_HOME :
		       number == 4 || number == 8 ? KEY_END :
		       number == 3 ? KEY_DELETE : KEY_NONE;
	default: return KEY_NONE;
	}
}

static void edit(struct editor *e, int key)
{
	switch (key) {
	case KEY_LEFT: case CTRL('B'):
		e->cursor -= e->cursor > 0;
		break;
	case KEY_RIGHT: case CTRL('F'):
		e->cursor += e->cursor < e->length;
		break;
	case KEY_HOME: case CTRL('A'):
		e->cursor = 0;
		break;
	case KEY_END: case CTRL('E'):
		e->cursor = e->length;
		break;
	case 0x7f: case '\b':
		if (e->cursor > 0)
			erase(e, e->cursor - 1, e->cursor);
		break;
	case KEY_DELETE: case CTRL('D'):
		if (e->cursor < e->length)
			erase(e, e->cursor, e->cursor + 1);
		break;
	case CTRL('U'):
		erase(e, 0, e->cursor);
		break;
	case CTRL('K'):
		e->length = e->cursor;
		break;
	case CTRL('W'):
		erase_word(e);
		break;
	case CTRL('L'):
		dprintf(1, "\033[H\033[2J");
		break;
	case KEY_UP: case CTRL('P'):
		show_history(e, e->back + 1);
		break;
	case KEY_DOWN: case CTRL('N'):
		if (e->back > 0)
			show_history(e, e->back - 1);
		break;
	default:
		if (key >= ' ' && key < 256)
			insert(e, (char)key);
	}
}

long edit_line(const char *prompt, char line[LINE_SIZE], int *end)
{
	static struct editor e;

	e = (struct editor){ .prompt = prompt, .line = line };
	*end = 0;
	redraw(&e);
	for (;;) {
		int key = read_byte();

		if (key == '\033')
			key = read_escape();
		if (key == KEY_EOF || (key == CTRL('D') && e.length == 0)) {
			*end = 1;
			dprintf(1, "\n");
			return 0;
		}
		if (key == CTRL('C')) {
			dprintf(1, "^C\n");
			return -EINTR;
		}
		if (key == '\r' || key == '\n')
			break;
		if (append(&e, key))
			continue;
		edit(&e, key);
		redraw(&e);
	}
	dprintf(1, "\n");
	line[e.length] = '\0';
	return (long)e.length;
}
