/*
 * stat.h - the forms in which `cadre stat` shows pools: tables for people, JSON and
 * Prometheus text for programs, one line for monitors, and the list of what there is.
 *
 * Each writes to a stream what the last read of a report holds, and nothing else: what is
 * opened, chosen and refused is the business of cmd_stat.c. What there is and what it is
 * called comes from the library's catalogue (cadre_fields), so a new counter appears
 * without a line here. 0, or -ENOMEM; errors of the stream stay in the stream.
 */
#ifndef CADRE_STAT_H
#define CADRE_STAT_H

#include <cadre/report.h>

#include <stdio.h>

/* A pool that is being watched, as of its last read. */
struct cadre_stat_pool {
	char name[CADRE_NAME_MAX + 1];
	struct cadre_report *report;
	struct cadre_sampler *sampler;
	const struct cadre_pool_snapshot *pool;
	uint64_t events_seen; /* the number behind that of the event shown last */
	unsigned successors; /* pools of its name that took its place since it was opened */
};

/* What is to be shown of it. */
struct cadre_stat_choice {
	const char *fields;   /* globs, separated by commas; NULL: all */
	bool chooses_workers; /* only these */
	bool workers[CADRE_WORKERS_MAX];
	bool colour;
};

/* Does a field match one of the globs? They are compared with its name, with or without
 * "counters.", and with that behind its scope: "pool.jobs.*". */
bool cadre_stat_wants(const struct cadre_stat_choice *choice,
		      enum cadre_field_scope scope, const struct cadre_field *field);

static inline bool cadre_stat_wants_worker(const struct cadre_stat_choice *choice,
					   uint32_t index)
{
	return !choice->chooses_workers || choice->workers[index];
}

/* stat_table.c: the whole pool for a person. */
int cadre_stat_print_table(const struct cadre_stat_pool *pool,
			   const struct cadre_stat_choice *choice);

/* stat_fields.c: the chosen fields, raw; and the list of all that there are. */
int cadre_stat_print_fields(const struct cadre_stat_pool *pool,
			    const struct cadre_stat_choice *choice);
int cadre_stat_list_table(void);

/* stat_latency.c: a row for each operation and each kind of latency. */
int cadre_stat_print_latency(const struct cadre_stat_pool *pool,
			     const struct cadre_stat_choice *choice);

/* stat_line.c: what happened in an interval, a line for the pool, or for each of the chosen
 * workers. The names of the columns come first, and again every screenful. */
void cadre_stat_print_line(const struct cadre_stat_pool *pool,
			   const struct cadre_stat_choice *choice, unsigned long round);

/* stat_events.c: of the last `most` events those not shown yet, a line each, and of a worker
 * that crashed its backtrace; or a JSON object each. */
void cadre_stat_print_events(struct cadre_stat_pool *pool,
			     const struct cadre_stat_choice *choice, uint32_t most);
int cadre_stat_print_events_json(struct cadre_stat_pool *pool,
				 const struct cadre_stat_choice *choice, uint32_t most);

/* stat_json.c */
int cadre_stat_print_json(const struct cadre_stat_pool *pool,
			  const struct cadre_stat_choice *choice);
int cadre_stat_list_json(void);

/* stat_prometheus.c: all pools at once, because a metric stands in one place. */
void cadre_stat_print_prometheus(FILE *out, const struct cadre_stat_pool *pools,
				 size_t count, const struct cadre_stat_choice *choice);

#endif
