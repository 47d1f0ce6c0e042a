/*
 * stat.h - the forms in which `cadre stat` shows a pool: a table for people, JSON for
 * programs, and the list of what each counter means.
 *
 * Each writes to standard output what the last read of a report holds, and nothing else:
 * what is opened, chosen and refused is the business of cmd_stat.c. The counters and their
 * names come from cadre_counter_describe, so a new one appears without a line here. 0, or
 * -ENOMEM; errors of the stream stay in the stream.
 */
#ifndef CADRE_STAT_H
#define CADRE_STAT_H

#include <cadre/report.h>

/* The printable name of a scope: "worker". */
const char *cadre_stat_scope_name(enum cadre_counter_scope scope);

/* "counter", "level", "peak". */
const char *cadre_stat_kind_name(enum cadre_counter_kind kind);

int cadre_stat_print_table(const struct cadre_report *report,
			   const struct cadre_pool_snapshot *pool);
int cadre_stat_print_json(const struct cadre_report *report,
			  const struct cadre_pool_snapshot *pool);

int cadre_stat_list_table(void);
int cadre_stat_list_json(void);

#endif
