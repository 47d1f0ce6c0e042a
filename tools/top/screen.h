/*
 * screen.h - lines of text on a terminal. What is longer than the screen is wide is cut,
 * what lies below its end is not shown.
 */
#ifndef CADRE_TOP_SCREEN_H
#define CADRE_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

enum screen_style {
	SCREEN_PLAIN,
	SCREEN_BOLD,
	SCREEN_MARKED, /* reversed: the row that keys act on, headings */
	SCREEN_GOOD,
	SCREEN_BAD,
	SCREEN_DIM,
};

/* Keys that are no characters. */
enum screen_key {
	SCREEN_NOTHING = -1, /* the time is over */
	SCREEN_UP = 0x1000,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_HOME,
	SCREEN_END,
	SCREEN_ENTER,
	SCREEN_ESCAPE,
	SCREEN_RESIZED,
	SCREEN_GONE, /* the terminal hung up */
	SCREEN_OTHER,
};

/* Takes the terminal. False when its type is unknown. */
bool screen_open(void);

/* Gives it back as it was. */
void screen_close(void);

int screen_lines(void);
int screen_columns(void);

/* Begins a picture, and shows it: only what changed is sent. */
void screen_begin(void);

/* What is written above this line from now on is not shown. */
void screen_clip(int line);
void screen_show(void);

/* Writes at a place; returns the column behind. */
int screen_write(int line, int column, enum screen_style style, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same over the whole width. */
void screen_write_line(int line, enum screen_style style, const char *text);

/* The next key within so many milliseconds. */
int screen_key(int64_t timeout_ms);

#endif
