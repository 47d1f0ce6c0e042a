/*
 * stat_table.c - a pool as text for a person: a few lines about the whole, a row for each
 * worker that is or was there, a row for each client.
 *
 * Widths and truncation are libsmartcols' work. Counts are printed in full, so that they
 * can be searched for and subtracted; times and sizes are rounded to what one can read.
 */
#include "stat.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A supervisor ticks several times a second. */
#define SILENT_NS INT64_C(3000000000)

/* ---- texts ---- */

/* Short texts that are used up within one statement: each call takes the next of a few. */
struct text {
	char bytes[32];
};

static const char *duration(int64_t ns)
{
	static struct text texts[8];
	static unsigned turn;
	char *const text = texts[turn++ % COUNT_OF(texts)].bytes;
	const size_t room = sizeof(texts[0].bytes);
	const int64_t us = ns / 1000, ms = us / 1000, s = ms / 1000;

	if (us < 1)
		snprintf(text, room, "%" PRId64 "ns", ns);
	else if (ms < 1)
		snprintf(text, room, "%" PRId64 ".%" PRId64 "us", us, ns / 100 % 10);
	else if (s < 1)
		snprintf(text, room, "%" PRId64 ".%" PRId64 "ms", ms, us / 100 % 10);
	else if (s < 60)
		snprintf(text, room, "%" PRId64 ".%" PRId64 "s", s, ms / 100 % 10);
	else if (s < 3600)
		snprintf(text, room, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, room, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(text, room, "%" PRId64 "d%02" PRId64 "h", s / 86400,
			 s / 3600 % 24);
	return text;
}

/* For a column: a time that is not, is a dash. */
static const char *duration_or_dash(int64_t ns)
{
	return ns > 0 ? duration(ns) : "-";
}

static const char *size(uint64_t bytes)
{
	static struct text texts[8];
	static unsigned turn;
	char *const text = texts[turn++ % COUNT_OF(texts)].bytes;
	static const char *const units[] = { "", "K", "M", "G" };
	unsigned unit = 0;

	while (unit + 1 < COUNT_OF(units) && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, sizeof(texts[0].bytes), "%" PRIu64 "%s", bytes, units[unit]);
	return text;
}

/* A counter of a snapshot by its name in counters.def. */
static uint64_t counter(enum cadre_counter_scope scope, const uint64_t *values,
			const char *name)
{
	size_t number;
	const struct cadre_counter_description *const counters =
		cadre_counter_describe(scope, &number);

	for (size_t i = 0; i < number; i++) {
		if (strcmp(counters[i].name, name) == 0)
			return values[i];
	}
	/* A name that counters.def does not know. */
	abort();
}

const char *cadre_stat_scope_name(enum cadre_counter_scope scope)
{
	static const char *const names[CADRE_SCOPE_COUNT] = {
		[CADRE_SCOPE_WORKER] = "worker",
		[CADRE_SCOPE_PLACE] = "place",
		[CADRE_SCOPE_CLIENT] = "client",
		[CADRE_SCOPE_POOL] = "pool",
	};

	return names[scope];
}

const char *cadre_stat_kind_name(enum cadre_counter_kind kind)
{
	static const char *const names[] = {
		[CADRE_COUNTER_TOTAL] = "counter",
		[CADRE_COUNTER_LEVEL] = "level",
		[CADRE_COUNTER_PEAK] = "peak",
	};

	return names[kind];
}

/* ---- tables ---- */

struct column {
	const char *name;
	int flags; /* SCOLS_FL_... */
};

static struct libscols_table *open_table(const struct column *columns, size_t count)
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

/* A row that is filled from left to right. */
struct row {
	struct libscols_line *line; /* NULL: no memory */
	size_t column;
	int result;
};

static struct row open_row(struct libscols_table *table)
{
	struct libscols_line *const line = scols_table_new_line(table, NULL);

	return (struct row){ .line = line, .result = line ? 0 : -ENOMEM };
}

__attribute__((format(printf, 2, 3))) static void put(struct row *row, const char *format,
						      ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (row->result == 0)
		row->result = scols_line_set_data(row->line, row->column, text);
	row->column++;
}

static void put_count(struct row *row, uint64_t count)
{
	put(row, "%" PRIu64, count);
}

/* ---- the lines about the whole ---- */

static unsigned count_workers(const struct cadre_report *report, const char *letters)
{
	const struct cadre_worker_snapshot *worker;
	unsigned count = 0;

	for (uint32_t i = 0; (worker = cadre_report_worker(report, i)); i++)
		count += strchr(letters, worker->letter) != NULL;
	return count;
}

static void print_obituary(const struct cadre_report *report,
			   const struct cadre_pool_snapshot *pool)
{
	const unsigned living = count_workers(report, "_SWBGH");

	if (living > 0)
		printf("pool \"%s\" has no supervisor: pid %d is gone; %u of its workers still "
		       "live, and \"cadre serve --name %s\" takes them over\n",
		       pool->name, (int)pool->supervisor_pid, living, pool->name);
	else
		printf("pool \"%s\" is dead: its supervisor (pid %d) is gone and no worker "
		       "lives; \"cadre gc\" removes it%s, \"cadre serve --name %s\" takes it "
		       "over\n",
		       pool->name, (int)pool->supervisor_pid,
		       pool->clients > 0 ? " once its clients have left" : "", pool->name);
}

static void print_supervisor(const struct cadre_pool_snapshot *pool)
{
	printf("  supervisor %d ", (int)pool->supervisor_pid);
	if (!pool->alive)
		printf("gone");
	else if (pool->heartbeat_age_ns > SILENT_NS)
		printf("SILENT for %s", duration(pool->heartbeat_age_ns));
	else
		printf("ok");
}

static void print_pool(const struct cadre_pool_snapshot *pool)
{
	printf("%s  %s  up %s", pool->name, pool->state, duration(pool->uptime_ns));
	print_supervisor(pool);
	printf("  workers %u ready of %u..%u  clients %u of %u%s\n", pool->workers_ready,
	       pool->workers_min, pool->workers_max, pool->clients, pool->clients_max,
	       pool->degraded ? "  DEGRADED (its workers die too often)" : "");

	printf("jobs  accepted %" PRIu64 "  queued %" PRIu64 "  in flight %" PRIu64
	       "  oldest pending %s\nended",
	       pool->submitted, pool->queue_length, pool->in_flight,
	       duration_or_dash(pool->oldest_pending_ns));
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		printf("  %s %" PRIu64, cadre_outcome_name((enum cadre_outcome)outcome),
		       pool->jobs[outcome]);

	printf("\nblocks in use");
	for (uint32_t size_class = 0; size_class < pool->block_classes; size_class++)
		printf("  %s: %u of %u", size(pool->block_size[size_class]),
		       pool->block_used[size_class], pool->block_count[size_class]);
	puts(pool->block_classes ? "" : "  none: every payload fits its slot");
}

/* ---- workers ---- */

static const struct column worker_columns[] = {
	{ "WORKER", SCOLS_FL_RIGHT },
	{ "PID", SCOLS_FL_RIGHT },
	{ "S", 0 },
	{ "UPTIME", SCOLS_FL_RIGHT },
	{ "IDLE", SCOLS_FL_RIGHT },
	{ "LOAD", SCOLS_FL_RIGHT },
	{ "WORKLOAD", SCOLS_FL_RIGHT },
	{ "MAX", SCOLS_FL_RIGHT },
	{ "JOBS", SCOLS_FL_RIGHT },
	{ "OK", SCOLS_FL_RIGHT },
	{ "FAILED", SCOLS_FL_RIGHT },
	{ "LOST", SCOLS_FL_RIGHT },
	{ "TIMED-OUT", SCOLS_FL_RIGHT },
	{ "LATE", SCOLS_FL_RIGHT },
	{ "RESTARTS", SCOLS_FL_RIGHT },
	{ "P50", SCOLS_FL_RIGHT },
	{ "P99", SCOLS_FL_RIGHT },
	{ "NOW", SCOLS_FL_TRUNC },
};

/* Busy time among all time, over restarts. A '?' when the times were read torn. */
static void put_load(struct row *row, const struct cadre_worker_snapshot *worker)
{
	const double busy = (double)worker->spent_busy_ns;
	const double all = busy + (double)worker->spent_idle_ns +
			   (double)worker->spent_blocked_ns;

	if (all > 0)
		put(row, "%.1f%%%s", 100 * busy / all, worker->torn ? "?" : "");
	else
		put(row, "-");
}

static void put_death(struct row *row, const struct cadre_worker_snapshot *worker)
{
	const char *const signal_name = sigabbrev_np(worker->last_signal);
	char how[48] = "ended";

	if (signal_name)
		snprintf(how, sizeof(how), "killed by SIG%s", signal_name);
	else if (worker->last_exit_status != 0)
		snprintf(how, sizeof(how), "exited with %d",
			 (int)worker->last_exit_status);
	if (worker->retry_in_ns > 0)
		put(row, "%s, retry in %s", how, duration(worker->retry_in_ns));
	else
		put(row, "%s", how);
}

/* What it does just now, and for how long. */
static void put_now(struct row *row, const struct cadre_report *report,
		    const struct cadre_worker_snapshot *worker)
{
	const char *const operation = cadre_report_operation(report, worker->operation);

	if (worker->letter == 'X' && worker->pid) /* Nobody recorded how it died. */
		put(row, "gone");
	else if (worker->letter == 'X')
		put_death(row, worker);
	else if (worker->running_ns > 0)
		put(row, "%s %s", operation ? operation : "?",
		    duration(worker->running_ns));
	else
		put(row, "-");
}

static int add_worker(struct libscols_table *table, const struct cadre_report *report,
		      const struct cadre_worker_snapshot *worker)
{
	struct row row = open_row(table);

	put(&row, "%u", worker->place);
	if (worker->pid)
		put(&row, "%d", (int)worker->pid);
	else
		put(&row, "-");
	put(&row, "%c", worker->letter);
	put(&row, "%s", duration_or_dash(worker->uptime_ns));
	put(&row, "%s%s", duration_or_dash(worker->idle_ns), worker->torn ? "?" : "");
	put_load(&row, worker);
	put_count(&row, counter(CADRE_SCOPE_WORKER, worker->worker, "workload"));
	put_count(&row, counter(CADRE_SCOPE_WORKER, worker->worker, "workload_max"));
	put_count(&row, counter(CADRE_SCOPE_WORKER, worker->worker, "jobs_taken"));
	put_count(&row, worker->jobs[CADRE_OK]);
	put_count(&row, worker->jobs[CADRE_FAILED]);
	put_count(&row, worker->jobs[CADRE_LOST]);
	put_count(&row, worker->jobs[CADRE_TIMED_OUT]);
	put_count(&row, worker->jobs[CADRE_CANCELLED]);
	put_count(&row, counter(CADRE_SCOPE_PLACE, worker->about, "restarts"));
	put(&row, "%s", duration_or_dash(worker->service.p50_ns));
	put(&row, "%s", duration_or_dash(worker->service.p99_ns));
	put_now(&row, report, worker);
	assert(row.column == COUNT_OF(worker_columns));
	return row.result;
}

/* A place where nobody ever sat says nothing; one whose worker was stopped has counters. */
static bool is_unused(const struct cadre_worker_snapshot *worker)
{
	return worker->letter == '.' && worker->incarnation == 0;
}

static int print_workers(const struct cadre_report *report)
{
	struct libscols_table *const table = open_table(worker_columns,
							COUNT_OF(worker_columns));
	const struct cadre_worker_snapshot *worker;
	unsigned unused = 0;
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && (worker = cadre_report_worker(report, i)); i++) {
		if (is_unused(worker))
			unused++;
		else
			r = add_worker(table, report, worker);
	}
	if (r == 0 && !scols_table_is_empty(table))
		scols_print_table(table);
	if (unused > 0)
		printf("%u %s of workers unused\n", unused,
		       unused == 1 ? "place" : "places");
	scols_unref_table(table);
	return r;
}

/* ---- clients ---- */

static const struct column client_columns[] = {
	{ "CLIENT", SCOLS_FL_RIGHT },
	{ "PID", SCOLS_FL_RIGHT },
	{ "STATE", 0 },
	{ "USED/SLOTS", SCOLS_FL_RIGHT },
	{ "QUEUED", SCOLS_FL_RIGHT },
	{ "RUNNING", SCOLS_FL_RIGHT },
	{ "SUBMITTED", SCOLS_FL_RIGHT },
	{ "FULL", SCOLS_FL_RIGHT },
};

static int add_client(struct libscols_table *table,
		      const struct cadre_client_snapshot *client, uint32_t slots)
{
	struct row row = open_row(table);

	put(&row, "%u", client->place);
	if (client->pid)
		put(&row, "%d", (int)client->pid);
	else
		put(&row, "-");
	put(&row, "%s", client->state);
	put(&row, "%u/%u", client->slots_used, slots);
	put(&row, "%u", client->queued);
	put(&row, "%u", client->running);
	put_count(&row, client->submitted);
	put_count(&row, counter(CADRE_SCOPE_CLIENT, client->counters, "window_full"));
	assert(row.column == COUNT_OF(client_columns));
	return row.result;
}

static int print_clients(const struct cadre_report *report,
			 const struct cadre_pool_snapshot *pool)
{
	struct libscols_table *const table = open_table(client_columns,
							COUNT_OF(client_columns));
	const struct cadre_client_snapshot *client;
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && (client = cadre_report_client(report, i)); i++) {
		if (strcmp(client->state, "vacant") != 0)
			r = add_client(table, client, pool->window_slots);
	}
	if (r == 0 && !scols_table_is_empty(table)) {
		putchar('\n');
		scols_print_table(table);
	}
	scols_unref_table(table);
	return r;
}

/* ---- the whole ---- */

int cadre_stat_print_table(const struct cadre_report *report,
			   const struct cadre_pool_snapshot *pool)
{
	int r;

	if (!pool->alive)
		print_obituary(report, pool);
	print_pool(pool);
	putchar('\n');
	r = print_workers(report);
	return r < 0 ? r : print_clients(report, pool);
}

int cadre_stat_list_table(void)
{
	static const struct column columns[] = { { "SCOPE", 0 },
						 { "NAME", 0 },
						 { "KIND", 0 },
						 { "UNIT", 0 },
						 { "MEANING", 0 } };
	struct libscols_table *const table = open_table(columns, COUNT_OF(columns));
	int r = table ? 0 : -ENOMEM;

	for (unsigned scope = 0; r == 0 && scope < CADRE_SCOPE_COUNT; scope++) {
		size_t number;
		const struct cadre_counter_description *const counters =
			cadre_counter_describe((enum cadre_counter_scope)scope, &number);

		for (size_t i = 0; r == 0 && i < number; i++) {
			struct row row = open_row(table);

			put(&row, "%s",
			    cadre_stat_scope_name((enum cadre_counter_scope)scope));
			put(&row, "%s", counters[i].name);
			put(&row, "%s", cadre_stat_kind_name(counters[i].kind));
			put(&row, "%s", counters[i].unit);
			put(&row, "%s", counters[i].sentence);
			r = row.result;
		}
	}
	if (r == 0)
		scols_print_table(table);
	scols_unref_table(table);
	return r;
}
