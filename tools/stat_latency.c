/*
 * stat_latency.c - how long jobs took, by operation and by what they spent the time on.
 */
#include "stat.h"
#include "table.h"
#include "text.h"

#include <errno.h>

static const struct cadre_column columns[] = {
	{ "OPERATION", 0 },          { "LATENCY", 0 },
	{ "JOBS", SCOLS_FL_RIGHT },  { "FAILED", SCOLS_FL_RIGHT },
	{ "MEAN", SCOLS_FL_RIGHT },  { "P50", SCOLS_FL_RIGHT },
	{ "P90", SCOLS_FL_RIGHT },   { "P99", SCOLS_FL_RIGHT },
	{ "P99.9", SCOLS_FL_RIGHT }, { "MAX", SCOLS_FL_RIGHT },
};

static int add_row(struct libscols_table *table, const char *operation, uint64_t failed,
		   enum cadre_latency_kind kind, const struct cadre_latency *latency)
{
	const struct cadre_percentiles times = cadre_latency_percentiles(latency);
	struct cadre_row row = cadre_row_open(table);

	cadre_row_put(&row, "%s", operation);
	cadre_row_put(&row, "%s", cadre_latency_name(kind));
	cadre_row_put_count(&row, latency->jobs);
	cadre_row_put_count(&row, failed);
	cadre_row_put(&row, "%s",
		      cadre_text_duration_or_dash(
			      latency->jobs ? (int64_t)(latency->sum_ns / latency->jobs) :
					      0));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(times.p50_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(times.p90_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(times.p99_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(times.p999_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(times.max_ns));
	return row.result;
}

static int add_rows(struct libscols_table *table, const char *operation, uint64_t failed,
		    const struct cadre_latency *latency)
{
	int r = 0;

	for (unsigned kind = 0; r == 0 && kind < CADRE_LATENCY_KINDS; kind++)
		r = add_row(table, operation, failed, (enum cadre_latency_kind)kind,
			    &latency[kind]);
	return r;
}

int cadre_stat_print_latency(const struct cadre_stat_pool *pool,
			     const struct cadre_stat_choice *choice)
{
	struct libscols_table *const table = cadre_table_open(columns,
							      sizeof(columns) /
								      sizeof(columns[0]));
	const struct cadre_operation_snapshot *operation;
	const struct cadre_worker_snapshot *worker;
	uint64_t failed = 0;
	char name[32];
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0;
	     r == 0 && (operation = cadre_report_operation_at(pool->report, i)); i++) {
		failed += operation->failed;
		if (operation->latency[CADRE_LATENCY_WAITING].jobs > 0)
			r = add_rows(table, operation->name, operation->failed,
				     operation->latency);
	}
	if (r == 0)
		r = add_rows(table, "(all)", failed, pool->pool->latency);
	for (uint32_t i = 0; r == 0 && choice->chooses_workers &&
			     (worker = cadre_report_worker(pool->report, i));
	     i++) {
		if (!cadre_stat_wants_worker(choice, i))
			continue;
		snprintf(name, sizeof(name), "(worker %u)", i);
		r = add_rows(table, name,
			     worker->jobs[CADRE_FAILED] + worker->jobs[CADRE_CANCELLED] +
				     worker->jobs[CADRE_TIMED_OUT],
			     worker->latency);
	}
	cadre_table_close(table);
	return r;
}
