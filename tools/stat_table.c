/*
 * stat_table.c - a pool as text for a person: a few lines about the whole, a row for each
 * worker that is or was there, a row for each client.
 *
 * Counts are printed in full, so that they can be searched for and subtracted; times, sizes
 * and rates are rounded to what one can read.
 */
#include "stat.h"
#include "table.h"
#include "text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A supervisor ticks several times a second. */
#define SILENT_NS INT64_C(3000000000)

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
		printf("SILENT for %s", cadre_text_duration(pool->heartbeat_age_ns));
	else
		printf("ok");
}

static uint64_t pool_counter(const struct cadre_pool_snapshot *pool, const char *name)
{
	return counter(CADRE_SCOPE_POOL, pool->counters, name);
}

/* From millionths. */
static const char *share(const struct cadre_pool_snapshot *pool, const char *name)
{
	return cadre_text_percent((double)pool_counter(pool, name) / 1e6);
}

static const char *rate(const struct cadre_pool_snapshot *pool, const char *name)
{
	return cadre_text_rate((double)pool_counter(pool, name) / 1e3);
}

/* Over a second, some 10 and some 60, as the supervisor keeps them. */
static void print_load(const struct cadre_pool_snapshot *pool)
{
	const uint64_t peak_unix_s = pool_counter(pool, "load_max_unix_s");

	printf("load  %s %s %s", share(pool, "load_1s"), share(pool, "load_10s"),
	       share(pool, "load_60s"));
	if (peak_unix_s > 0)
		printf("  peak %s at %s", share(pool, "load_max"),
		       cadre_text_moment((int64_t)peak_unix_s));
	printf("  jobs/s %s %s %s\n", rate(pool, "rate_1s"), rate(pool, "rate_10s"),
	       rate(pool, "rate_60s"));
}

static void print_jobs(const struct cadre_pool_snapshot *pool)
{
	printf("jobs  accepted %" PRIu64 "  queued %" PRIu64 "  in flight %" PRIu64
	       "  oldest pending %s  longest queue %" PRIu64 "\nended",
	       pool->submitted, pool->queue_length, pool->in_flight,
	       cadre_text_duration_or_dash(pool->oldest_pending_ns),
	       pool_counter(pool, "queue_length_max"));
	for (unsigned outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++)
		printf("  %s %" PRIu64, cadre_outcome_name((enum cadre_outcome)outcome),
		       pool->jobs[outcome]);
	putchar('\n');
}

static void print_percentiles(const char *what, const struct cadre_percentiles *times)
{
	printf("  %s p50 %s p99 %s max %s", what,
	       cadre_text_duration_or_dash(times->p50_ns),
	       cadre_text_duration_or_dash(times->p99_ns),
	       cadre_text_duration_or_dash(times->max_ns));
}

static void print_room(const struct cadre_pool_snapshot *pool)
{
	printf("blocks in use");
	for (uint32_t size_class = 0; size_class < pool->block_classes; size_class++)
		printf("  %s: %u of %u", cadre_text_size(pool->block_size[size_class]),
		       pool->block_used[size_class], pool->block_count[size_class]);
	if (pool->block_classes == 0)
		printf("  none: every payload fits its slot");
	if (pool->windows_full > 0)
		printf("  FULL WINDOWS: %u", pool->windows_full);
	putchar('\n');
}

/* One letter for each place, as mod_status of Apache shows it. */
static void print_map(const struct cadre_report *report)
{
	const struct cadre_worker_snapshot *worker;

	printf("map   ");
	for (uint32_t i = 0; (worker = cadre_report_worker(report, i)); i++)
		putchar(worker->letter);
	putchar('\n');
}

static void print_pool(const struct cadre_report *report,
		       const struct cadre_pool_snapshot *pool)
{
	printf("%s  %s  up %s", pool->name, pool->state,
	       cadre_text_duration(pool->uptime_ns));
	print_supervisor(pool);
	printf("  workers %u ready of %u..%u  clients %u of %u%s\n", pool->workers_ready,
	       pool->workers_min, pool->workers_max, pool->clients, pool->clients_max,
	       pool->degraded ? "  DEGRADED (its workers die too often)" : "");
	print_load(pool);
	print_jobs(pool);
	if (pool->total.jobs > 0) {
		printf("took");
		print_percentiles("waiting", &pool->waiting);
		print_percentiles("service", &pool->service);
		putchar('\n');
	}
	print_room(pool);
	print_map(report);
}

/* ---- workers ---- */

static const struct cadre_column worker_columns[] = {
	{ "WORKER", SCOLS_FL_RIGHT },
	{ "PID", SCOLS_FL_RIGHT },
	{ "S", 0 },
	{ "INC", SCOLS_FL_RIGHT },
	{ "UPTIME", SCOLS_FL_RIGHT },
	{ "IDLE", SCOLS_FL_RIGHT },
	{ "LOAD", SCOLS_FL_RIGHT },
	{ "PEAK", SCOLS_FL_RIGHT },
	{ "WORKLOAD", SCOLS_FL_RIGHT },
	{ "MAX", SCOLS_FL_RIGHT },
	{ "JOBS/S", SCOLS_FL_RIGHT },
	{ "JOBS", SCOLS_FL_RIGHT },
	{ "OK", SCOLS_FL_RIGHT },
	{ "FAILED", SCOLS_FL_RIGHT },
	{ "LOST", SCOLS_FL_RIGHT },
	{ "TIMED-OUT", SCOLS_FL_RIGHT },
	{ "LATE", SCOLS_FL_RIGHT },
	{ "RESTARTS", SCOLS_FL_RIGHT },
	{ "WHY", 0 },
	{ "P50", SCOLS_FL_RIGHT },
	{ "P99", SCOLS_FL_RIGHT },
	{ "RSS", SCOLS_FL_RIGHT },
	{ "CPU", SCOLS_FL_RIGHT },
	{ "NOW", SCOLS_FL_TRUNC },
};

/* What is not all right stands out, on a terminal that can show it. */
static void paint(struct cadre_row *row, char letter)
{
	if (row->result == 0 && strchr("XDH", letter))
		row->result = scols_line_set_color(row->line, "red");
	else if (row->result == 0 && strchr("SGB", letter))
		row->result = scols_line_set_color(row->line, "yellow");
}

/* A '?' when the times were read torn. */
static void put_load(struct cadre_row *row, const struct cadre_worker_snapshot *worker,
		     const struct cadre_rates *rates)
{
	const uint64_t peak = counter(CADRE_SCOPE_PLACE, worker->about, "load_max");

	cadre_row_put(row, "%s%s", cadre_text_percent(rates->load),
		      worker->torn ? "?" : "");
	cadre_row_put(row, "%s", cadre_text_percent((double)peak / 1e6));
}

static void put_death(struct cadre_row *row, const struct cadre_worker_snapshot *worker)
{
	const char *const signal_name = sigabbrev_np(worker->last_signal);
	char how[48] = "ended";

	if (signal_name)
		snprintf(how, sizeof(how), "killed by SIG%s", signal_name);
	else if (worker->last_exit_status != 0)
		snprintf(how, sizeof(how), "exited with %d",
			 (int)worker->last_exit_status);
	if (worker->retry_in_ns > 0)
		cadre_row_put(row, "%s, retry in %s", how,
			      cadre_text_duration(worker->retry_in_ns));
	else
		cadre_row_put(row, "%s", how);
}

/* What it does just now, and for how long. */
static void put_now(struct cadre_row *row, const struct cadre_report *report,
		    const struct cadre_worker_snapshot *worker)
{
	const char *const operation = cadre_report_operation(report, worker->operation);

	if (worker->letter == 'X' && worker->pid) /* Nobody recorded how it died. */
		cadre_row_put(row, "gone");
	else if (worker->letter == 'X')
		put_death(row, worker);
	else if (worker->running_ns > 0)
		cadre_row_put(row, "%s %s", operation ? operation : "?",
			      cadre_text_duration(worker->running_ns));
	else
		cadre_row_put(row, "-");
}

static int add_worker(struct libscols_table *table, const struct cadre_stat_pool *pool,
		      const struct cadre_worker_snapshot *worker)
{
	const struct cadre_rates *const rates = cadre_sampler_worker(pool->sampler,
								     worker->place);
	struct cadre_row row = cadre_row_open(table);

	cadre_row_put(&row, "%u", worker->place);
	if (worker->pid)
		cadre_row_put(&row, "%d", (int)worker->pid);
	else
		cadre_row_put(&row, "-");
	cadre_row_put(&row, "%c", worker->letter);
	cadre_row_put(&row, "%u", worker->incarnation);
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(worker->uptime_ns));
	cadre_row_put(&row, "%s%s", cadre_text_duration_or_dash(worker->idle_ns),
		      worker->torn ? "?" : "");
	put_load(&row, worker, rates);
	cadre_row_put_count(&row, counter(CADRE_SCOPE_WORKER, worker->worker, "workload"));
	cadre_row_put_count(&row,
			    counter(CADRE_SCOPE_WORKER, worker->worker, "workload_max"));
	cadre_row_put(&row, "%s", cadre_text_rate(rates->jobs_per_s));
	cadre_row_put_count(&row,
			    counter(CADRE_SCOPE_WORKER, worker->worker, "jobs_taken"));
	cadre_row_put_count(&row, worker->jobs[CADRE_OK]);
	cadre_row_put_count(&row, worker->jobs[CADRE_FAILED]);
	cadre_row_put_count(&row, worker->jobs[CADRE_LOST]);
	cadre_row_put_count(&row, worker->jobs[CADRE_TIMED_OUT]);
	cadre_row_put_count(&row, worker->jobs[CADRE_CANCELLED]);
	cadre_row_put_count(&row, counter(CADRE_SCOPE_PLACE, worker->about, "restarts"));
	cadre_row_put(&row, "%s", worker->last_reason[0] ? worker->last_reason : "-");
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(worker->service.p50_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(worker->service.p99_ns));
	cadre_row_put(&row, "%s", cadre_text_memory(worker->resident_bytes));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(worker->cpu_ns));
	put_now(&row, pool->report, worker);
	paint(&row, worker->letter);
	assert(row.column == COUNT_OF(worker_columns));
	return row.result;
}

/* A place where nobody ever sat says nothing; one whose worker was stopped has counters. */
static bool is_unused(const struct cadre_worker_snapshot *worker)
{
	return worker->letter == '.' && worker->incarnation == 0;
}

static int print_workers(const struct cadre_stat_pool *pool,
			 const struct cadre_stat_choice *choice)
{
	struct libscols_table *const table = cadre_table_open(worker_columns,
							      COUNT_OF(worker_columns));
	const struct cadre_worker_snapshot *worker;
	unsigned unused = 0;
	int r = table ? 0 : -ENOMEM;

	if (r == 0 && choice->colour)
		scols_table_enable_colors(table, 1);
	for (uint32_t i = 0; r == 0 && (worker = cadre_report_worker(pool->report, i));
	     i++) {
		if (!cadre_stat_wants_worker(choice, i))
			continue;
		if (is_unused(worker))
			unused++;
		else
			r = add_worker(table, pool, worker);
	}
	cadre_table_close(table);
	if (unused > 0)
		printf("%u %s of workers unused\n", unused,
		       unused == 1 ? "place" : "places");
	return r;
}

/* ---- clients ---- */

static const struct cadre_column client_columns[] = {
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
	struct cadre_row row = cadre_row_open(table);

	cadre_row_put(&row, "%u", client->place);
	if (client->pid)
		cadre_row_put(&row, "%d", (int)client->pid);
	else
		cadre_row_put(&row, "-");
	cadre_row_put(&row, "%s", client->state);
	cadre_row_put(&row, "%u/%u", client->slots_used, slots);
	cadre_row_put(&row, "%u", client->queued);
	cadre_row_put(&row, "%u", client->running);
	cadre_row_put_count(&row, client->submitted);
	cadre_row_put_count(&row,
			    counter(CADRE_SCOPE_CLIENT, client->counters, "window_full"));
	assert(row.column == COUNT_OF(client_columns));
	return row.result;
}

static int print_clients(const struct cadre_report *report,
			 const struct cadre_pool_snapshot *pool)
{
	struct libscols_table *const table = cadre_table_open(client_columns,
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

/* ---- local workers ---- */

static const struct cadre_column guest_columns[] = {
	{ "LOCAL", SCOLS_FL_RIGHT },
	{ "WORKER", SCOLS_FL_RIGHT },
	{ "PID", SCOLS_FL_RIGHT },
	{ "PROGRAM", 0 },
	{ "ST", 0 },
	{ "UPTIME", SCOLS_FL_RIGHT },
	{ "IDLE", SCOLS_FL_RIGHT },
	{ "NOW", SCOLS_FL_RIGHT },
	{ "TAKEN", SCOLS_FL_RIGHT },
	{ "OK", SCOLS_FL_RIGHT },
	{ "FAILED", SCOLS_FL_RIGHT },
	{ "LOST", SCOLS_FL_RIGHT },
	{ "DIED", SCOLS_FL_RIGHT },
	{ "P50", SCOLS_FL_RIGHT },
	{ "P99", SCOLS_FL_RIGHT },
	{ "RUNNING", 0 },
};

static int add_guest(struct libscols_table *table,
		     const struct cadre_guest_snapshot *guest)
{
	struct cadre_row row = cadre_row_open(table);

	cadre_row_put(&row, "%u", guest->place);
	cadre_row_put(&row, "%u", guest->worker);
	cadre_row_put(&row, "%d", (int)guest->pid);
	cadre_row_put(&row, "%s", guest->program[0] ? guest->program : "-");
	cadre_row_put(&row, "%c", guest->letter);
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(guest->uptime_ns));
	cadre_row_put(&row, "%s%s", cadre_text_duration_or_dash(guest->idle_ns),
		      guest->torn ? "?" : "");
	cadre_row_put_count(&row, guest->workload);
	cadre_row_put_count(&row, guest->taken);
	cadre_row_put_count(&row, guest->jobs[CADRE_OK]);
	cadre_row_put_count(&row, guest->jobs[CADRE_FAILED]);
	cadre_row_put_count(&row, guest->jobs[CADRE_LOST]);
	cadre_row_put_count(&row, guest->died);
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(guest->service.p50_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash(guest->service.p99_ns));
	/* Its operations have names for its owner only. */
	if (guest->running_ns > 0)
		cadre_row_put(&row, "operation %d %s", (int)guest->operation,
			      cadre_text_duration(guest->running_ns));
	else
		cadre_row_put(&row, "-");
	assert(row.column == COUNT_OF(guest_columns));
	return row.result;
}

/* Those that somebody has. */
static int print_guests(const struct cadre_report *report)
{
	struct libscols_table *const table = cadre_table_open(guest_columns,
							      COUNT_OF(guest_columns));
	const struct cadre_guest_snapshot *guest;
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && (guest = cadre_report_guest(report, i)); i++) {
		if (guest->pid)
			r = add_guest(table, guest);
	}
	if (r == 0 && !scols_table_is_empty(table))
		putchar('\n');
	cadre_table_close(table);
	return r;
}

/* ---- counters that clients named ---- */

static const struct cadre_column named_columns[] = {
	{ "CLIENT", SCOLS_FL_RIGHT }, { "COUNTER", 0 },
	{ "JOBS", SCOLS_FL_RIGHT },   { "ERRORS", SCOLS_FL_RIGHT },
	{ "MEAN", SCOLS_FL_RIGHT },   { "MAX", SCOLS_FL_RIGHT },
};

static int add_named(struct libscols_table *table, uint32_t client,
		     const struct cadre_perf *perf)
{
	const uint64_t mean_ns = perf->count ? perf->total_ns / perf->count : 0;
	struct cadre_row row = cadre_row_open(table);

	cadre_row_put(&row, "%u", client);
	cadre_row_put(&row, "%s", perf->name);
	cadre_row_put_count(&row, perf->count);
	cadre_row_put_count(&row, perf->errors);
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash((int64_t)mean_ns));
	cadre_row_put(&row, "%s", cadre_text_duration_or_dash((int64_t)perf->max_ns));
	return row.result;
}

static int print_named(const struct cadre_report *report)
{
	struct libscols_table *const table = cadre_table_open(named_columns,
							      COUNT_OF(named_columns));
	const struct cadre_client_snapshot *client;
	struct cadre_perf perf;
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && (client = cadre_report_client(report, i)); i++) {
		for (uint32_t n = 0; r == 0 && n < CADRE_PERF_COUNTERS_MAX; n++) {
			if (cadre_report_perf(report, client->place, n, &perf) == 0)
				r = add_named(table, client->place, &perf);
		}
	}
	if (r == 0 && !scols_table_is_empty(table))
		putchar('\n');
	cadre_table_close(table);
	return r;
}

/* ---- the whole ---- */

int cadre_stat_print_table(const struct cadre_stat_pool *pool,
			   const struct cadre_stat_choice *choice)
{
	int r;

	if (!pool->pool->alive)
		print_obituary(pool->report, pool->pool);
	print_pool(pool->report, pool->pool);
	putchar('\n');
	r = print_workers(pool, choice);
	if (r < 0 || choice->chooses_workers)
		return r;
	r = print_clients(pool->report, pool->pool);
	if (r == 0)
		r = print_guests(pool->report);
	return r < 0 ? r : print_named(pool->report);
}
