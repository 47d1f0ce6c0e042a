/*
 * perf.h - the named counters of one client, where everybody can read them.
 *
 * A job can name one when it is submitted; it is counted when its result is taken. Threads of
 * one client add to the same counter, so the numbers are added to and not stored; no other
 * process writes them. The names belong to whoever has the window: the next client begins
 * with an empty table.
 */
#ifndef CADRE_PERF_H
#define CADRE_PERF_H

#include "platform.h"

#include <cadre/client.h>

/* C: the client. The first byte of the name comes last, with release: without it the line
 * is unused. */
struct cadre_perf_line {
	alignas(CADRE_CACHE_LINE) _Atomic char name[CADRE_PERF_NAME_MAX + 1];
	_Atomic uint64_t count;
	_Atomic uint64_t errors;
	_Atomic uint64_t total_ns;
	_Atomic uint64_t max_ns;
};

static_assert(sizeof(struct cadre_perf_line) == CADRE_CACHE_LINE, "segment layout");

/* All of one client's. */
struct cadre_perf_table {
	struct cadre_perf_line lines[CADRE_PERF_COUNTERS_MAX];
};

/* Empties the table. */
void cadre_perf_clear(struct cadre_perf_table *table);

/* Gives an unused line its name. */
void cadre_perf_name(struct cadre_perf_line *line, const char *name);

void cadre_perf_add(struct cadre_perf_line *line, bool failed, int64_t took_ns);

/* False for an unused line. The numbers may be a job apart. */
bool cadre_perf_read(const struct cadre_perf_line *line, struct cadre_perf *ret_perf);

#endif
