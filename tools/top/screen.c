#include "screen.h"

#include <errno.h>
#include <limits.h>
#include <ncurses.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static SCREEN *terminal;
static bool has_color;
static int first_line;

static attr_t attributes(enum screen_style style)
{
	switch (style) {
	case SCREEN_BOLD:
		return A_BOLD;
	case SCREEN_MARKED:
		return A_REVERSE;
	case SCREEN_GOOD:
		return has_color ? (attr_t)COLOR_PAIR(1) : A_NORMAL;
	case SCREEN_BAD:
		return has_color ? (attr_t)COLOR_PAIR(2) | A_BOLD : A_BOLD;
	case SCREEN_DIM:
		return A_DIM;
	case SCREEN_PLAIN:
		break;
	}
	return A_NORMAL;
}

bool screen_open(void)
{
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return false;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	/* https://no-color.org */
	has_color = has_colors() && !getenv("NO_COLOR") && start_color() == OK &&
		    use_default_colors() == OK && init_pair(1, COLOR_GREEN, -1) == OK &&
		    init_pair(2, COLOR_RED, -1) == OK;
	return true;
}

void screen_close(void)
{
	endwin();
	delscreen(terminal);
}

int screen_lines(void)
{
	return LINES;
}

int screen_columns(void)
{
	return COLS;
}

void screen_begin(void)
{
	erase();
	first_line = 0;
}

void screen_clip(int line)
{
	first_line = line;
}

void screen_show(void)
{
	refresh();
}

int screen_write(int line, int column, enum screen_style style, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(text))
		length = (int)sizeof(text) - 1;
	/* The last place of the screen stays empty: writing there would scroll it. */
	if (line >= first_line && line < LINES && column < COLS - 1 && length > 0) {
		attrset((int)attributes(style));
		mvaddnstr(line, column, text, COLS - 1 - column);
		attrset(A_NORMAL);
	}
	return column + length;
}

void screen_write_line(int line, enum screen_style style, const char *text)
{
	screen_write(line, 0, style, "%-*s", COLS, text);
}

int screen_key(int64_t timeout_ms)
{
	int key;

	timeout(timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);
	errno = 0;
	key = getch();
	switch (key) {
	case ERR:
		/* A terminal that hung up reads as an end, at once and for ever. */
		return errno == 0 || errno == EINTR || errno == EAGAIN ? SCREEN_NOTHING :
									 SCREEN_GONE;
	case KEY_UP:
		return SCREEN_UP;
	case KEY_DOWN:
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
		return SCREEN_PAGE_DOWN;
	case KEY_HOME:
		return SCREEN_HOME;
	case KEY_END:
		return SCREEN_END;
	case KEY_RESIZE:
		return SCREEN_RESIZED;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return SCREEN_ENTER;
	case 27:
		return SCREEN_ESCAPE;
	default:
		return key < 256 ? key : SCREEN_OTHER;
	}
}
