/*
 * table.c - rows and columns: sorted by one column, scrolled, one row marked.
 */
#include "../text.h"
#include "screen.h"
#include "top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1024
#define TEXT_SIZE 600

/* What qsort compares by; one table is drawn at a time. */
static struct {
	const struct top *top;
	const struct top_table *table;
	const struct top_column *column;
	bool upwards;
} order;

/* ---- values ---- */

static const struct cadre_field *field_of(const struct top *top,
					  const struct top_table *table,
					  const struct top_column *column)
{
	const enum cadre_field_scope scope = column->of_rates ? CADRE_FIELDS_RATES :
								table->scope;
	char name[64];

	if (column->field[0] != '.')
		return top_field(scope, column->field);
	snprintf(name, sizeof(name), "%s%s", cadre_latency_name(top->latency),
		 column->field);
	return top_field(scope, name);
}

static const void *snapshot_of(const struct top *top, const struct top_table *table,
			       const struct top_column *column, uint32_t index)
{
	return column->of_rates ? table->rates(top, index) : table->snapshot(top, index);
}

static double number_of(const struct top *top, const struct top_table *table,
			const struct top_column *column, uint32_t index)
{
	return column->field ? cadre_field_number(field_of(top, table, column),
						  snapshot_of(top, table, column, index)) :
			       0;
}

static void write_value(const struct top *top, const struct top_table *table,
			const struct top_column *column, uint32_t index, char *text,
			size_t size)
{
	const struct cadre_field *field;
	double number;

	if (column->write) {
		column->write(top, index, text, size);
		return;
	}
	field = field_of(top, table, column);
	number = number_of(top, table, column, index);
	switch (column->form) {
	case TOP_ORDER:
	case TOP_TEXT:
		snprintf(text, size, "%s",
			 cadre_field_text(field, snapshot_of(top, table, column, index)));
		break;
	case TOP_INTEGER:
		snprintf(text, size, "%.0f", number);
		break;
	case TOP_PID:
		snprintf(text, size, number > 0 ? "%.0f" : "-", number);
		break;
	case TOP_COUNT:
		if (number < 10000)
			snprintf(text, size, "%.0f", number);
		else
			snprintf(text, size, "%s", cadre_text_rate(number));
		break;
	case TOP_RATE:
		snprintf(text, size, "%s", cadre_text_rate(number));
		break;
	case TOP_SIZE:
		snprintf(text, size, "%s", cadre_text_memory((uint64_t)number));
		break;
	case TOP_DURATION:
		snprintf(text, size, "%s", cadre_text_duration_or_dash((int64_t)number));
		break;
	case TOP_SHARE:
		snprintf(text, size, "%.1f", 100 * number);
		break;
	case TOP_PPM:
		snprintf(text, size, "%.1f", number / 1e4);
		break;
	}
}

/* ---- rows ---- */

static struct top_cursor *cursor_of(struct top *top)
{
	return &top->cursors[top->view];
}

static int compare_texts(uint32_t a, uint32_t b)
{
	char x[TEXT_SIZE], y[TEXT_SIZE];

	write_value(order.top, order.table, order.column, a, x, sizeof(x));
	write_value(order.top, order.table, order.column, b, y, sizeof(y));
	return strcmp(x, y);
}

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

static int compare_values(uint32_t a, uint32_t b)
{
	switch (order.column->form) {
	case TOP_TEXT:
		return compare_texts(a, b);
	case TOP_ORDER:
		return compare_numbers(a, b);
	default:
		return compare_numbers(number_of(order.top, order.table, order.column, a),
				       number_of(order.top, order.table, order.column, b));
	}
}

static int compare(const void *left, const void *right)
{
	const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	const int ordered = compare_values(a, b),
		  turned = order.upwards ? ordered : -ordered;

	return turned ? turned : (a > b) - (a < b);
}

/* The indexes of the rows to be shown, in their order. Returns how many. */
static uint32_t collect(const struct top *top, const struct top_table *table,
			uint32_t rows[ROWS_MAX])
{
	const struct top_cursor *const cursor = &top->cursors[top->view];
	const uint32_t count = table->count(top);
	uint32_t shown = 0;

	for (uint32_t i = 0; i < count && shown < ROWS_MAX; i++) {
		if (!top->hides_idle || !table->is_idle(top, i))
			rows[shown++] = i;
	}
	order.top = top;
	order.table = table;
	order.column = &table->columns[cursor->sort];
	order.upwards = cursor->upwards;
	qsort(rows, shown, sizeof(*rows), compare);
	return shown;
}

uint32_t top_table_marked(const struct top *top, const struct top_table *table)
{
	uint32_t rows[ROWS_MAX];
	const uint32_t count = collect(top, table, rows);
	const uint32_t row = top->cursors[top->view].row;

	return count == 0 ? UINT32_MAX : rows[row < count ? row : count - 1];
}

/* ---- drawing ---- */

static void draw_titles(const struct top_cursor *cursor, const struct top_table *table,
			int line)
{
	int column = 0;

	screen_write_line(line, SCREEN_MARKED, "");
	for (unsigned i = 0; i < table->column_count; i++) {
		const struct top_column *const it = &table->columns[i];
		char title[32];

		snprintf(title, sizeof(title), "%s%s", it->title,
			 i != cursor->sort ? "" :
			 cursor->upwards   ? "<" :
					     ">");
		column = screen_write(line, column, SCREEN_MARKED, "%*s ", it->width,
				      title);
	}
}

static void draw_row(const struct top *top, const struct top_table *table, int line,
		     uint32_t index, bool marked)
{
	const enum screen_style style = marked ? SCREEN_MARKED : SCREEN_PLAIN;
	int column = 0;

	if (marked)
		screen_write_line(line, style, "");
	for (unsigned i = 0; i < table->column_count; i++) {
		const struct top_column *const it = &table->columns[i];
		char text[TEXT_SIZE];

		write_value(top, table, it, index, text, sizeof(text));
		column = screen_write(line, column, style, "%*s ", it->width, text);
	}
}

/* Keeps the marked row on the screen. */
static void scroll(struct top_cursor *cursor, uint32_t count, uint32_t room)
{
	if (cursor->row >= count)
		cursor->row = count ? count - 1 : 0;
	if (cursor->row < cursor->first)
		cursor->first = cursor->row;
	if (room && cursor->row >= cursor->first + room)
		cursor->first = cursor->row - room + 1;
	if (cursor->first + room > count)
		cursor->first = count > room ? count - room : 0;
}

static uint32_t room_below(int line)
{
	/* The titles, and the line of keys at the end. */
	const int room = screen_lines() - line - 2;

	return room > 0 ? (uint32_t)room : 0;
}

void top_draw_table(struct top *top, const struct top_table *table, int line)
{
	struct top_cursor *const cursor = cursor_of(top);
	const uint32_t room = room_below(line);
	uint32_t rows[ROWS_MAX];
	const uint32_t count = collect(top, table, rows);

	scroll(cursor, count, room);
	draw_titles(cursor, table, line);
	for (uint32_t i = 0; i < room && cursor->first + i < count; i++)
		draw_row(top, table, line + 1 + (int)i, rows[cursor->first + i],
			 cursor->first + i == cursor->row);
	if (count == 0)
		screen_write(line + 1, 0, SCREEN_DIM, "no %s to show%s", table->name,
			     top->hides_idle ? " (i shows idle ones)" : "");
}

/* ---- keys ---- */

static void move(struct top_cursor *cursor, int64_t rows)
{
	const int64_t row = (int64_t)cursor->row + rows;

	/* The end is found when it is drawn. */
	cursor->row = row < 0 ? 0 : row > ROWS_MAX ? ROWS_MAX : (uint32_t)row;
}

static void sort_by(struct top_cursor *cursor, const struct top_table *table,
		    unsigned column)
{
	cursor->sort = column % table->column_count;
}

bool top_table_key(struct top *top, const struct top_table *table, int key)
{
	struct top_cursor *const cursor = cursor_of(top);
	const int page = screen_lines() / 2;

	switch (key) {
	case SCREEN_UP:
	case 'k':
		move(cursor, -1);
		return true;
	case SCREEN_DOWN:
	case 'j':
		move(cursor, 1);
		return true;
	case SCREEN_PAGE_UP:
		move(cursor, -page);
		return true;
	case SCREEN_PAGE_DOWN:
		move(cursor, page);
		return true;
	case SCREEN_HOME:
		move(cursor, -ROWS_MAX);
		return true;
	case SCREEN_END:
		move(cursor, ROWS_MAX);
		return true;
	case '<':
		sort_by(cursor, table, cursor->sort + table->column_count - 1);
		return true;
	case '>':
		sort_by(cursor, table, cursor->sort + 1);
		return true;
	case 'r':
		cursor->upwards = !cursor->upwards;
		return true;
	default:
		return false;
	}
}
