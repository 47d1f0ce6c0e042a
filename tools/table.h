/*
 * table.h - tables by libsmartcols, filled row by row from left to right. Widths and
 * truncation to the terminal are its work.
 */
#ifndef CADRE_TABLE_H
#define CADRE_TABLE_H

#include <libsmartcols.h>
#include <stdint.h>

struct cadre_column {
	const char *name;
	int flags; /* SCOLS_FL_... */
};

/* NULL: no memory. */
struct libscols_table *cadre_table_open(const struct cadre_column *columns, size_t count);

/* Prints it, unless it has no rows, and frees it. */
void cadre_table_close(struct libscols_table *table);

/* `result` is -ENOMEM after any failure. */
struct cadre_row {
	struct libscols_line *line;
	size_t column;
	int result;
};

struct cadre_row cadre_row_open(struct libscols_table *table);

void cadre_row_put(struct cadre_row *row, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void cadre_row_put_count(struct cadre_row *row, uint64_t count);

#endif
