/*
 * top.h - what the files of `cadre top` share.
 *
 *   cmd_top.c   arguments, which pool, the loop of looks and keys
 *   screen.c    the only file that knows ncurses
 *   head.c      the lines above every view: the pool as a whole, the map of letters
 *   table.c     a view of rows and columns: sorting, scrolling, hiding what is idle
 *   tables.c    which columns there are
 *   detail.c    one worker: everything that is known, and its histogram
 *   event.c     one event: its sentence, and where the worker was that died
 *   help.c      what the keys do
 *
 * Nothing here writes to the segment: all that is shown comes from a report, read again at
 * each look, and from a sampler, which knows what changed between two looks.
 */
#ifndef CADRE_TOP_H
#define CADRE_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include <cadre/report.h>

#include "../stat_pools.h"

enum top_view {
	TOP_WORKERS,
	TOP_OPERATIONS,
	TOP_CLIENTS,
	TOP_EVENTS,
	TOP_TABLES,              /* the views above */
	TOP_DETAIL = TOP_TABLES, /* of a worker */
	TOP_EVENT,               /* one event */
	TOP_HELP,
};

/* Where one stands in a table; each has its own. */
struct top_cursor {
	unsigned sort;  /* column */
	bool upwards;   /* smallest first */
	uint32_t row;   /* the marked one, as shown */
	uint32_t first; /* the first one on the screen */
};

struct top {
	struct cadre_stat_pools pools; /* one of them */
	int64_t interval_ns;
	/* Of the last look. */
	const struct cadre_report *report;
	const struct cadre_sampler *sampler;
	const struct cadre_pool_snapshot *snapshot;
	enum top_view view;
	enum top_view before; /* the view that help or detail covers */
	struct top_cursor cursors[TOP_TABLES];
	uint32_t worker;                 /* whose detail is shown */
	uint64_t event;                  /* number of the event that is shown */
	unsigned event_of;               /* after so many successors of the pool */
	enum cadre_latency_kind latency; /* that the tables and the histogram show */
	int scroll; /* lines of detail, event or help that are above the screen */
	bool hides_idle;
	bool paused;
};

/* How a value is shown. */
enum top_form {
	TOP_TEXT,
	TOP_ORDER, /* a text that sorts as the rows stand in the report */
	TOP_INTEGER,
	TOP_PID,   /* 0 is a dash */
	TOP_COUNT, /* in full while it is short */
	TOP_RATE,  /* 41.2k */
	TOP_SIZE,
	TOP_DURATION, /* of ns */
	TOP_SHARE,    /* of a ratio: percent */
	TOP_PPM,      /* likewise, of millionths */
};

/* One column: a field of the report's catalogue. A field that begins with a dot is one of the
 * percentiles that the key L chose. */
struct top_column {
	const char *title;
	int width; /* negative: to the left */
	enum top_form form;
	const char *field; /* NULL: `write` knows */
	bool of_rates;     /* of the last interval, else of the last look */
	void (*write)(const struct top *top, uint32_t index, char *text, size_t size);
};

struct top_table {
	const char *name;
	enum cadre_field_scope scope;
	const struct top_column *columns;
	unsigned column_count;
	unsigned sort; /* column that one would sort by first */
	bool upwards;
	uint32_t (*count)(const struct top *top);
	const void *(*snapshot)(const struct top *top, uint32_t index);
	const void *(*rates)(const struct top *top, uint32_t index); /* NULL: it has none */
	/* Rows that `i` hides. */
	bool (*is_idle)(const struct top *top, uint32_t index);
};

/* By view. */
extern const struct top_table *const top_tables[TOP_TABLES];

/* ---- drawing; each returns the line behind the last one that it used ---- */

int top_draw_head(const struct top *top);
void top_draw_table(struct top *top, const struct top_table *table, int line);
int top_draw_detail(const struct top *top, int line);
int top_draw_event(const struct top *top, int line);
int top_draw_help(const struct top *top, int line);

/* True when the key meant something to a table. */
bool top_table_key(struct top *top, const struct top_table *table, int key);

/* The index of the marked row, as the columns know it; UINT32_MAX when there is none. */
uint32_t top_table_marked(const struct top *top, const struct top_table *table);

/* A field of the catalogue by its name; there is one. */
const struct cadre_field *top_field(enum cadre_field_scope scope, const char *name);

/* Row `index` of the events, the newest first. */
const struct cadre_event_info *top_event_at(const struct top *top, uint32_t index);

/* A counter of a snapshot by its name in counters.def. */
uint64_t top_counter(enum cadre_counter_scope scope, const uint64_t *values,
		     const char *name);

#endif
