#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct libscols_table *cadre_table_open(const struct cadre_column *columns, size_t count)
{
	struct libscols_table *const table = scols_new_table();

	for (size_t i = 0; table && i < count; i++) {
		if (!scols_table_new_column(table, columns[i].name, 0, columns[i].flags)) {
			scols_unref_table(table);
			return NULL;
		}
	}
	return table;
}

void cadre_table_close(struct libscols_table *table)
{
	if (table && !scols_table_is_empty(table))
		scols_print_table(table);
	scols_unref_table(table);
}

struct cadre_row cadre_row_open(struct libscols_table *table)
{
	struct libscols_line *const line = scols_table_new_line(table, NULL);

	return (struct cadre_row){ .line = line, .result = line ? 0 : -ENOMEM };
}

void cadre_row_put(struct cadre_row *row, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (row->result == 0)
		row->result = scols_line_set_data(row->line, row->column, text);
	row->column++;
}

void cadre_row_put_count(struct cadre_row *row, uint64_t count)
{
	cadre_row_put(row, "%" PRIu64, count);
}
